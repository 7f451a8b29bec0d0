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

// rare are the sites that it depends on the moment to meet, and where they are for sure.
var rare = map[string]string{
	"accept:keep":  "a file that is replaced twice in the microseconds of an exchange: internal/spool",
	"work:aside":   "a file that can't be removed: a script of cmd/monitor makes one immutable",
	"reads:end":    "half a message that nobody goes on writing: internal/messages",
	"reads:reopen": "monitor_reads may not be written to and then may: internal/messages",
}

// unmet are the sites that these tests do not reach, and why.
var unmet = map[string]string{
	"clear:keep":       "a file that was saved in the microseconds of an exchange in which the monitor died: internal/spool puts one there",
	"recover:status":   "only after a power cut: TestPowerCut cuts its recoveries as well",
	"recover:mend":     "only after a power cut: TestPowerCut cuts its recoveries as well",
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
	n := 0
	for _, site := range slices.Sorted(maps.Keys(want)) {
		if met[site] {
			n++
		}
		why, known := unmet[site]
		switch {
		case met[site] && known:
			t.Errorf("%s is met after all", site)
		case !met[site] && rare[site] != "":
			t.Logf("%s is not met this time: %s", site, rare[site])
		case !met[site] && !known:
			t.Errorf("%s (%s) was never met", site, want[site])
		case known:
			t.Logf("%s is not met: %s", site, why)
		}
	}
	world.Figures(t, "%d of %d sites of the sources met", n, len(want))
}
