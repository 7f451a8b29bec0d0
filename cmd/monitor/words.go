package main

import "strings"

// shellWord writes a word so that a POSIX shell reads it as one word, unchanged.
// What needs no quotes gets none, because people read it.
func shellWord(word string) string {
	const plain = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_@%+:,./-"
	if word != "" && strings.Trim(word, plain) == "" {
		return word
	}
	return "'" + strings.ReplaceAll(word, "'", `'\''`) + "'"
}

// shellLine is the command line of a program and its arguments.
func shellLine(words []string) string {
	quoted := make([]string, len(words))
	for i, w := range words {
		quoted[i] = shellWord(w)
	}
	// A first word NAME=VALUE would be an assignment, not a program.
	if len(words) > 0 && strings.Contains(words[0], "=") && quoted[0] == words[0] {
		quoted[0] = "'" + words[0] + "'"
	}
	return strings.Join(quoted, " ")
}
