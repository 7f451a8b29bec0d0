package crash

import (
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"simplejobq/test/crash/world"
)

// unmet are the sites that these tests need not reach, and why.
var unmet = map[string]string{
	"accept:keep":      "a file that is replaced twice in the microseconds of an exchange: internal/spool replaces one then",
	"clear:keep":       "a file that was saved in the microseconds of an exchange in which the monitor died: internal/spool puts one there",
	"reads:reopen":     "only while monitor_reads may not be written to and then may: internal/messages",
	"recover:status":   "only after a power cut: TestPowerCut cuts its recoveries as well",
	"recover:truncate": "only after a power cut: TestPowerCut cuts its recoveries as well",
}

var literal = regexp.MustCompile(`"([a-z][a-z-]*(?: [a-z]+)*:[a-z]+)"`)

// Every site that stands in the sources was met by the tests of this package: there is
// no call that changes something and was never made to fail.
func TestEverySiteIsMet(t *testing.T) {
	met := world.Met()
	if world.At() == world.Quick || len(met) < 50 {
		t.Skip("only after all tests of this package with CRASH=change")
	}
	want := map[string]string{}
	for _, root := range []string{"../../internal", "../../cmd"} {
		err := filepath.WalkDir(root, func(path string, _ fs.DirEntry, err error) error {
			if err != nil || !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") || strings.Contains(path, "/durable/") {
				return err
			}
			b, err := os.ReadFile(path)
			for _, m := range literal.FindAllSubmatch(b, -1) {
				want[string(m[1])] = path
			}
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	for _, site := range slices.Sorted(maps.Keys(want)) {
		switch why, known := unmet[site]; {
		case !met[site] && !known:
			t.Errorf("%s (%s) was never met", site, want[site])
		case known:
			t.Logf("%s is not met: %s", site, why)
		}
	}
	world.Figures(t, "%d of %d sites of the sources met", len(want)-len(unmet), len(want))
}
