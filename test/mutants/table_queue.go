package main

var orderTests = suite{"internal/monitor", "News|Digest|Order|List", ""}

// queue: what is remembered of the many that wait.
var queue = []mutant{
	{
		"no change is seen on the shelf", "edited while it waits: looked at anew (3-spool)",
		[]edit{{"internal/spool/ranks.go", `return st.Regular() && s.inode() == st.Ino && s.when() == st.Mtime && int64(s.size) == st.Size`, `return true`}},
		[]suite{spoolTests},
	},
	{
		"nobody is missed on the shelf", "the scan is the truth (3-spool)",
		[]edit{{"internal/spool/index.go", `for _, e := range s.unlisted(x, q) {`, `for _, e := range []*Entry(nil) {`}},
		[]suite{spoolTests},
	},
	{
		"the shelf goes before the others", "within a queue by timestamp, then by name (3-spool)",
		[]edit{{"internal/spool/ranks.go", `other == nil || Before(&Entry{Name: name, Enqueued: slot.when()}, other)`, `name != ""`}},
		[]suite{spoolTests},
	},
	{
		"who waits goes on the shelf", "what it waits for is known of each (3-spool)",
		[]edit{{"internal/monitor/order.go", `t != nil && !t.onlyKind()`, `t != nil && false`}},
		[]suite{orderTests},
	},
	{
		"the first news is enough", "AFTER: all of them",
		[]edit{{"internal/monitor/gate.go", `		if g := s.afterGate(t); !g.open() {
			return g
		}
`, ``}},
		[]suite{orderTests},
	},
	{
		"who waits for many is not asked again", "AFTER: all of them, and no longer",
		[]edit{{"internal/monitor/news.go", `if !known || t.waits <= 0 && was == waitsOther {`, `if !known {`}},
		[]suite{orderTests},
	},
}
