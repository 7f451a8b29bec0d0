package main

// names: what happens to names, and to what has them already.
var names = []mutant{
	{
		"copy and delete", "never copy and delete: one directory operation is a change (1, 2)",
		[]edit{
			{
				"internal/durable/move.go", `	err := d.moveAtOnce(site, name, to, newName)
	if err != nil && refusesFlags(err) {
		if err = attempt(site+" link"`,
				`	err := copyAndDelete(site, d, name, to, newName)
	if err != nil && refusesFlags(err) {
		if err = attempt(site+" link"`,
			},
			{"internal/durable/move.go", "// Replace renames name in d over", `func copyAndDelete(site Site, d *Dir, name string, to *Dir, newName string) error {
	from, err := d.Open(name)
	if err != nil {
		return err
	}
	defer from.Close()
	st, err := from.Stat()
	if err != nil {
		return err
	}
	if !st.Regular() {
		return renameat2(d.fd, name, to.fd, newName, unix.RENAME_NOREPLACE)
	}
	f, err := to.Create(site, newName, st.Mode&0o777)
	if err != nil {
		return err
	}
	defer f.Close()
	b := make([]byte, st.Size)
	if _, err := from.ReadAt(b, 0); err != nil && st.Size > 0 {
		return err
	}
	if _, err := f.Write(site, b); err != nil {
		return err
	}
	ts := []unix.Timespec{{Nsec: unix.UTIME_OMIT}, unix.NsecToTimespec(st.Mtime)}
	if err := unix.UtimesNanoAt(f.fd, "", ts, unix.AT_EMPTY_PATH); err != nil {
		return err
	}
	if err := f.Sync(site); err != nil {
		return err
	}
	return attempt(site, func() error { return unix.Unlinkat(d.fd, name, 0) })
}

// Replace renames name in d over`},
		},
		[]suite{durableTests, killed},
	},
	{
		"rename that replaces", "never overwrite (3)",
		[]edit{{"internal/durable/move.go", `unix.RENAME_NOREPLACE) })`, `0) })`}},
		[]suite{durableTests},
	},
	{
		"unlink before link", "a half-done move shows a file twice, never not at all (8)",
		[]edit{{"internal/durable/move.go", `if err = attempt(site+" link", func() error { return unix.Linkat(d.fd, name, to.fd, newName, 0) }); err == nil {
			// Crash window: two names, one file.
			err = attempt(site+" unlink", func() error { return unix.Unlinkat(d.fd, name, 0) })
		}`, `var f *File
		if f, err = d.Open(name); err == nil {
			defer f.Close()
			var b []byte
			st, _ := f.Stat()
			b = make([]byte, st.Size)
			_, _ = f.ReadAt(b, 0)
			if err = attempt(site+" unlink", func() error { return unix.Unlinkat(d.fd, name, 0) }); err == nil {
				var g *File
				if g, err = to.Create(site+" link", newName, 0o644); err == nil {
					_, err = g.Write(site+" link", b)
					g.Close()
				}
			}
		}`}},
		[]suite{killedPlain},
	},
	{
		"plain replace at acceptance", "exchange, and look at what came out (3)",
		[]edit{{"internal/spool/publish.go", `err := dir.Exchange("accept:exchange", e.Name, s.Tmp, tmp)
`, `err := s.Tmp.Replace("accept:exchange", tmp, dir, e.Name)
	if err == nil {
		s.changed(e.Queue)
		return s.nowCalled(e)
	}
`}},
		[]suite{spoolTests, whileItWaits},
	},
	{
		"what came out is not looked at", "exchange, and look at what came out (3)",
		[]edit{{"internal/spool/publish.go", `if err := unchanged(s.Tmp, tmp, a.Content.Stat); err != nil {`, `if err := error(nil); err != nil {`}},
		[]suite{spoolTests, whileItWaits},
	},
	{
		"links are followed", "openat without following links (16)",
		[]edit{{"internal/durable/file.go", `unix.O_NONBLOCK | unix.O_NOFOLLOW | unix.O_NOCTTY`, `unix.O_NONBLOCK | unix.O_NOCTTY`}},
		[]suite{durableTests},
	},
	{
		"devices are opened", "only regular files, looked at before they are opened (16)",
		[]edit{
			{"internal/spool/read.go", `if err == nil && !st.Regular() {
		err = fmt.Errorf("%s %w", s.dirs[q].Join(name), ErrOdd)
	}
	if err != nil {`, `if err != nil {`},
			{"internal/spool/read.go", `if st, err = f.Stat(); err == nil && !st.Regular() {
		err = fmt.Errorf("%s %w", f.Path(), ErrOdd)
	}`, `st, err = f.Stat()
	_ = fmt.Sprint`},
		},
		[]suite{spoolTests, zoo},
	},
	{
		"temporaries over what is there", "own temporaries are made with O_EXCL (5)",
		[]edit{{"internal/durable/file.go", `unix.O_RDWR|unix.O_CREAT|unix.O_EXCL, mode`, `unix.O_RDWR|unix.O_CREAT, mode`}},
		[]suite{durableTests, spoolTests},
	},
	{
		"temporaries stay", "own temporaries are removed at start (5)",
		[]edit{{"internal/spool/clear.go", `if !ok || st.Ino == t.copy || st.Ino == t.original && st.Size == t.size && st.Mtime == t.mtime {
		return "", s.Tmp.RemoveAll("clear:remove", name)
	}`, `if !ok || st.Ino == t.copy || st.Ino == t.original && st.Size == t.size && st.Mtime == t.mtime {
		return "", nil
	}`}},
		[]suite{spoolTests, killed},
	},
	{
		"an original is cleared away", "what is unknown is kept: the monitor deletes nothing but its own (23)",
		[]edit{{"internal/spool/clear.go", `s.Tmp.Move(site, name, s.dirs[Trash], target)`, `s.Tmp.Remove("clear:keep", name)`}},
		[]suite{spoolTests},
	},
	{
		"healing is off", "one file under two names is healed: the later state wins (8)",
		[]edit{{"internal/monitor/look.go", `s.sp.Twin(e)`, `spool.Wait, false, error(nil)`}},
		[]suite{{"test/crash/habits", "^TestTwoNames$", ""}},
	},
	{
		"no lock", "one monitor on one spool (14)",
		[]edit{{"internal/spool/spool.go", `got, err := f.Lock("lock:lock")`, `got, err := true, error(nil)`}},
		[]suite{spoolTests},
	},
	{
		"asking takes the lock", "an OFD lock can be asked about without being taken (14)",
		[]edit{
			{"internal/spool/spool.go", `f, err := private.Open("lock")`, `f, err := private.OpenWrite("look:open", "lock")`},
			{"internal/spool/spool.go", `held, err := f.Locked()`, `got, err := f.Lock("look:lock")
	held := !got`},
			{"internal/spool/spool.go", `	defer f.Close()
	got, err :=`, `	got, err :=`},
		},
		[]suite{durableTests, spoolTests},
	},
}
