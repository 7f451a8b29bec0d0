package main

// disk: what is on disk when.
var disk = []mutant{
	{
		"no fsync of files", "a file's bytes are durable before anybody is told (6, 7)",
		[]edit{{"internal/durable/file.go", `func() error { return unix.Fsync(f.fd) }`, `func() error { return nil }`}},
		[]suite{powerCut, powerCuts},
	},
	{
		"no fsync of directories", "a name is durable before anybody is told (6)",
		[]edit{{"internal/durable/dir.go", `func() error { return unix.Fsync(d.fd) }`, `func() error { return nil }`}},
		[]suite{powerCut, powerCuts},
	},
	{
		"no syncfs", "one commit at the end of a round (13)",
		[]edit{{"internal/durable/batch.go", `return unix.Syncfs(b.root.fd)`, `return nil`}},
		[]suite{blocks},
	},
	{
		"old directory first", "where a name arrives is durable before where it leaves (8)",
		[]edit{{"internal/durable/batch.go", `return x.rank - y.rank`, `return y.rank - x.rank`}},
		[]suite{durableTests},
	},
	{
		"second fsync after an error", "an error of a sync is final (11)",
		[]edit{{
			"internal/durable/batch.go", `return fail(site, b.root.path, attempt(site, func() error { return unix.Syncfs(b.root.fd) }))`,
			`if attempt(site, func() error { return unix.Syncfs(b.root.fd) }) == nil {
			return nil
		}
		return fail(site, b.root.path, attempt(site, func() error { return unix.Syncfs(b.root.fd) }))`,
		}},
		[]suite{badBlocks},
	},
	{
		"a failed commit is believed", "an error of a sync is final (11)",
		[]edit{{"internal/spool/spool.go", `if err := s.Batch.Commit("round:commit"); err != nil {
		return err
	}`, `_ = s.Batch.Commit("round:commit")`}},
		[]suite{badBlocks, errorsOnce},
	},
	{
		"no sync at start", "queue directories are synced before anything read from them is acted upon (9)",
		[]edit{{"internal/spool/claim.go", `errs = append(errs, s.dirs[q].Sync("start:sync"))`, `_ = q`}},
		[]suite{spoolTests, powerCut, powerCuts},
	},
	{
		"claimed without a sync", "a user's file is synced before it is claimed: cp did not (7)",
		[]edit{{"internal/spool/claim.go", `} else if e := s.Batch.File(f); err == nil { // cp did not sync it
			err = e
		}`, `} else {
			f.Close()
		}`}},
		[]suite{powerCutBack},
	},
	{
		"copies take their names unsynced", "a new file is synced before it has its name (6)",
		[]edit{{"internal/spool/accept.go", `copies.Commit("accept:sync")`, `error(nil)`}},
		[]suite{spoolTests, powerCut, powerCuts},
	},
	{
		"wait tells without a sync", "who says that a UOW ended has synced the directory it lies in (24)",
		[]edit{{"cmd/monitor/trail.go", `if err := t.sp.Dir(t.queue).Sync("wait:sync"); err != nil {`, `if err := error(nil); err != nil {`}},
		[]suite{clients},
	},
	{
		"submit tells without a sync", "exit 0 of submit is an acknowledgement (24)",
		[]edit{{"cmd/monitor/drop.go", `if err := u.file.Sync("submit:sync"); err != nil {`, `if err := error(nil); err != nil {`}},
		[]suite{clients},
	},
	{
		"submit does not sync the name", "exit 0 of submit is an acknowledgement (24)",
		[]edit{{"cmd/monitor/drop.go", `if e := dir.Sync("submit:sync"); e != nil {`, `if e := error(nil); e != nil {`}},
		[]suite{clients},
	},
	{
		"STATUS is not part of the commit", "what belongs to the new state is durable before the move (2)",
		[]edit{{"internal/monitor/write.go", `			return done(err)
		}
	}
	return s.sp.Batch.File(f)`, `			return done(err)
		}
	}
	return f.Close()`}},
		[]suite{powerCut, powerCuts},
	},
	{
		"start record is not part of the commit", "claim and run record are durable, then the fork (12)",
		[]edit{{"internal/monitor/launch.go", `		err = s.covered(w)
`, ``}},
		[]suite{powerCut, powerCuts},
	},
}
