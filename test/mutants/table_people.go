package main

// reads: monitor_reads.
var reads = []mutant{
	{
		"no intent", "an intent per batch on disk (19)",
		[]edit{{"internal/messages/take.go", `err = b.save("intent")`, `err = nil`}},
		[]suite{messagesTests},
	},
	{
		"no done mark", "a done mark per batch on disk (19)",
		[]edit{{"internal/messages/inbox.go", `	if err == nil && b.unsaved {
		err = b.save("done")
	}
	return said, err`, `	return said, err`}},
		[]suite{messagesTests},
	},
	{
		"marks are not synced", "an intent per batch on disk (19)",
		[]edit{{"internal/messages/mark.go", `	if err == nil {
		err = m.file.Sync(site("sync"))
	}`, ``}},
		[]suite{messagesTests, powerCut, powerCuts},
	},
	{
		"done before it is done", "a message is acted upon, then marked (19)",
		[]edit{{"internal/monitor/obey.go", `	for _, l := range lines {
		s.obey(l)`, `	s.fault(s.messagesDone())
	for _, l := range lines {
		s.obey(l)`}},
		[]suite{readsKilled},
	},
	{
		"cut without a lease", "cut in place under a write lease (19)",
		[]edit{{"internal/messages/take.go", `	if f.WriteLease() != durable.Quiet {
		return false, nil
	}`, ``}, {"internal/messages/take.go", `switch src.file.WriteLease() {`, `switch durable.Quiet {`}},
		[]suite{messagesTests, hardPlaces},
	},
	{
		"cut without a look", "cut only what is all taken (19)",
		[]edit{
			{"internal/messages/take.go", `if err != nil || s.Size != src.pos {`, `if err != nil {`},
			{"internal/messages/take.go", `if err != nil || rewritten || !s.SameContent(src.seen) {`, `if err != nil {`},
		},
		[]suite{messagesTests, hardPlaces},
	},
	{
		"cut what was rewritten", "cut only what was read (19)",
		[]edit{{"internal/messages/take.go", `if err != nil || rewritten || !s.SameContent(src.seen) {`, `if err != nil {`}},
		[]suite{messagesTests},
	},
	{
		"cut before the mark", "the mark of a cut is on disk before it (19)",
		[]edit{{"internal/messages/take.go", `if err := b.saveMark("done", m); err != nil {`, `if err := error(nil); err != nil {`}},
		[]suite{messagesTests},
	},
	{
		"half lines are taken", "whole lines only (19)",
		[]edit{{"internal/messages/take.go", `more, err := b.unended(rest, now, last)`, `return b.line(nil, rest), said, nil`}},
		[]suite{messagesTests, hardPlaces},
	},
	{
		"half lines are left open", "the next line is not glued to half a line (19)",
		[]edit{{"internal/messages/take.go", `if writers == durable.Quiet && !b.src.readOnly {`, `if writers == durable.Quiet && false {`}},
		[]suite{messagesTests},
	},
	{
		"old file is left at once", "a replaced file is finished before the new one is followed (19)",
		[]edit{{"internal/messages/inbox.go", `	if writers != durable.Quiet {
`, `	if false {
`}},
		[]suite{messagesTests, replaced},
	},
	{
		"rewrites go unnoticed", "a file that was rewritten is read from its beginning (19)",
		[]edit{{"internal/messages/source.go", `return !bytes.Equal(now, s.tail), nil`, `return !bytes.Equal(now, s.tail) && false, nil`}},
		[]suite{messagesTests},
	},
}

// people: what they do with files while they are looked at.
var people = []mutant{
	{
		"no lease", "read under a read lease (16)",
		[]edit{{"internal/durable/lock.go", `_, err := unix.FcntlInt(uintptr(f.fd), unix.F_SETLEASE, kind)
	switch {`, `var err error
	switch {`}},
		[]suite{durableTests},
	},
	{
		"who still writes is not asked for", "nobody has it open for writing (16)",
		[]edit{{"internal/monitor/look.go", `	if c.Writer == durable.Written {
`, `	if false {
`}},
		[]suite{spoolTests, copies},
	},
	{
		"nothing settles", "who stops writing may go on: settle_time (17)",
		[]edit{{"internal/monitor/look.go", `	if still < need {
`, `	if false {
`}},
		[]suite{copies},
	},
	{
		"a half file goes to trash", "accept fast, refuse slowly (must never happen 4)",
		[]edit{{"internal/monitor/look.go", `if need := time.Duration(s.conf.SleepTime); still < need {`, `if need := time.Duration(0); still < need {`}},
		[]suite{copies},
	},
	{
		"claimed whatever it is by now", "look again after the claim (16)",
		[]edit{{"internal/spool/claim.go", `if err != nil || !now.SameContent(content.Stat) {
		// Replaced`, `if err != nil || now.Ino == 0 {
		// Replaced`}},
		[]suite{spoolTests, inALoop},
	},
	{
		"claimed while it is written", "read under a read lease (16)",
		[]edit{{"internal/spool/claim.go", `if content.Writer == durable.Written || st.Links > 1 || st.Ino != e.Ino || st.Size != e.Size || st.Mtime != e.Mtime {`, `if st.Links > 1 {`}},
		[]suite{spoolTests, whileItWaits, inALoop},
	},
	{
		"other names are written to", "a file with several links is accepted by a copy of its own (3-spool)",
		[]edit{{"internal/spool/accept.go", `a.Line != nil || a.Content.Stat.Links > 1 {`, `a.Line != nil {`}},
		[]suite{spoolTests, {"test/crash/habits", "^TestManyHardLinks$", ""}, killed},
	},
	{
		"a running UOW stays where it was put", "a run is ended by KILL JOB, never by moving its file (4)",
		[]edit{{"internal/monitor/finish.go", `name, err := s.sp.BringBack(j.Claimed, from, e.Name)`, `name, err := j.Name, error(nil)`}},
		[]suite{whileItRuns},
	},
	{
		"told while it is written", "read under a read lease (16)",
		[]edit{{"internal/spool/accept.go", `	if f.ReadLease() == durable.Written {
		return nil // its writer's changes are looked at
	}
	st, err := f.Stat()
	if err != nil || st.Ino != e.Ino`, `	st, err := f.Stat()
	if err != nil || st.Ino != e.Ino`}},
		[]suite{{"internal/spool", "^TestTold", ""}},
	},
	{
		"no second link", "what ran is found wherever people moved it (4)",
		[]edit{{"internal/spool/claim.go", `	case place.Lost:
		strange = "its file was removed or replaced while it ran; its second link is published under its name"
		m, err = s.publishLink(c, to)`, `	case place.Lost:
		return m, strange, ErrVanished`}},
		[]suite{spoolTests, whileItRuns},
	},
	{
		"replaced directories are followed blindly", "a replaced directory is noticed (4)",
		[]edit{{"internal/durable/dir.go", `return err == nil && (s.Dev != d.stat.Dev || s.Ino != d.stat.Ino), err`, `return false, err`}},
		[]suite{durableTests},
	},
	{
		"trouble is an outcome", "trouble that passes never changes a UOW's state (21)",
		[]edit{{"internal/spool/accept.go", `return fmt.Errorf("accept: %s: its second link could not be removed yet: %w", a.Entry.Name, unix.EBUSY)`, `_ = unix.EBUSY
		_ = fmt.Sprint()`}},
		[]suite{spoolTests},
	},
}
