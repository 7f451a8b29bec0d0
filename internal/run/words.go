package run

import "strings"

// CommandLine writes argv as somebody would type it into a shell.
func CommandLine(argv []string) string {
	var b strings.Builder
	for i, word := range argv {
		if i > 0 {
			b.WriteByte(' ')
		}
		quote(&b, word)
	}
	return b.String()
}

const plain = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_@%+=:,./-"

func quote(b *strings.Builder, word string) {
	control := strings.ContainsFunc(word, func(c rune) bool { return c < ' ' || c >= 0x7f && c < 0xa0 })
	switch {
	case control: // the one form in which a shell reads escapes
		b.WriteString("$'")
		for i := 0; i < len(word); i++ {
			switch c := word[i]; {
			case c == '\'' || c == '\\':
				b.WriteByte('\\')
				b.WriteByte(c)
			case c == '\n':
				b.WriteString(`\n`)
			case c == '\t':
				b.WriteString(`\t`)
			case c == '\r':
				b.WriteString(`\r`)
			case c < ' ' || c == 0x7f || c == 0xc2 && i+1 < len(word) && word[i+1] < 0xa0:
				hex(b, c)
			case i > 0 && word[i-1] == 0xc2 && c >= 0x80 && c < 0xa0:
				hex(b, c)
			default:
				b.WriteByte(c)
			}
		}
		b.WriteByte('\'')
	case word != "" && strings.Trim(word, plain) == "":
		b.WriteString(word)
	default:
		b.WriteByte('\'')
		b.WriteString(strings.ReplaceAll(word, "'", `'\''`))
		b.WriteByte('\'')
	}
}

func hex(b *strings.Builder, c byte) {
	const digits = "0123456789abcdef"
	b.WriteString(`\x`)
	b.WriteByte(digits[c>>4])
	b.WriteByte(digits[c&15])
}
