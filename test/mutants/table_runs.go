package main

// rounds: the order of what a round does.
var rounds = []mutant{
	{
		"move in the round that wrote the end", "nothing moves in the round that wrote its end (13)",
		[]edit{{"internal/monitor/loop.go", `	s.move()
	s.edit()
`, `	s.edit()
	s.move()
`}, {"internal/monitor/finish.go", `j.written < s.turns`, `j.written <= s.turns`}},
		[]suite{powerCut, powerCuts},
	},
	{
		"fork before the commit", "claim and run record are durable, then the fork (12)",
		[]edit{{"internal/monitor/loop.go", `	err := s.commit()
	s.timer = false`, `	s.handOver()
	err := s.commit()
	s.timer = false`}},
		[]suite{powerCut, errorsOnce, powerCuts},
	},
	{
		"told before the commit", "told is what is on disk (6, 13)",
		[]edit{{"internal/monitor/loop.go", `	err := s.commit()
	s.timer = false`, `	for _, f := range s.tells {
		f()
	}
	s.tells = nil
	s.fault(s.flush())
	err := s.commit()
	s.timer = false`}},
		[]suite{powerCut, errorsOnce, powerCuts},
	},
	{
		"told after the second link went", "the second link goes last: until then an end is told once more (13)",
		[]edit{{"internal/monitor/loop.go", `	err := s.commit()
	s.timer = false`, `	err := s.commit()
	if err == nil {
		s.fault(s.sp.ClearUp())
	}
	s.timer = false`}, {"internal/monitor/finish.go", `			s.onceTold = append(s.onceTold, func() { s.sp.DropLater(j.Claimed) })
		}
	})`, `		}
	})
	if j.to.Ended() {
		s.sp.DropLater(j.Claimed)
	}`}},
		[]suite{killedDone},
	},
	{
		"an end waits for ever", "an end whose commit is there moves (13)",
		[]edit{{"internal/monitor/finish.go", `		if j.state == leaving {
			s.depart(j)`, `		if j.state == leaving && s.slots == 0 {
			s.depart(j)`}},
		[]suite{{"cmd/monitor", "^TestScripts$/^beside$", ""}},
	},
	{
		"second link goes at the move", "the second link goes after the commit of the move (13)",
		[]edit{{"internal/spool/claim.go", `func (s *Spool) DropLater(c Claimed) {
`, `func (s *Spool) DropLater(c Claimed) {
	if s.DropSecond(c) == nil {
		return
	}
`}},
		[]suite{spoolTests, killed},
	},
	{
		"moved without a STATUS", "what cannot be written is tried again, nothing moves without it (2, 21)",
		[]edit{{"internal/monitor/write.go", `if j.unwritten = err != nil; err != nil {`, `if err != nil && false {`}},
		[]suite{errorsOnce, trouble},
	},
	{
		"record used again at once", "a record is used again after the commit of the round that took its end (13)",
		[]edit{
			{"internal/monitor/worker.go", `return w.record != nil && w.has == nil && w.spent == nil`, `return w.record != nil && w.has == nil`},
		},
		[]suite{powerCutFlows, powerCuts},
	},
	{
		"acknowledged too early", "the record is the witness until the outcome is on disk (12, 13)",
		[]edit{{"internal/monitor/launch.go", `if c := w.spent; c != nil && !c.witness {`, `if c := w.spent; c != nil {`}},
		[]suite{{"test/crash/survive", "^TestEndWithoutStatus$", ""}, errorsOnce, killedBoth},
	},
	{
		"record goes with its runner", "the record is the witness until the outcome is on disk (12, 13)",
		[]edit{{"internal/monitor/worker.go", `case w.spent != nil && w.spent.job.state != gone:`, `case false:`}},
		[]suite{{"test/crash/survive", "^TestEndWithoutStatus$", ""}},
	},
}

// runs: what is believed of a run whose monitor or runner is gone.
var runs = []mutant{
	{
		"no mark before the fork", "a run that may have begun is not begun again in silence (12)",
		[]edit{{"internal/run/own.go", `	o.live = Live{Forked: run, Runner: o.live.Runner, RunnerStart: o.live.RunnerStart, Space: o.live.Space}
	return o.writeLive()`, `	o.live = Live{Forked: "", Runner: o.live.Runner, RunnerStart: o.live.RunnerStart, Space: o.live.Space}
	return o.writeLive()`}},
		[]suite{runTests, killedRunner, runnerKilled},
	},
	{
		"an end without its run id", "an end that does not carry its start's run id is no end (12)",
		[]edit{{"internal/run/record.go", `end != nil && end.Run != s.Run`, `end != nil && false`}},
		[]suite{runTests},
	},
	{
		"a torn record is believed", "what a power cut tears the checksum shows (12)",
		[]edit{{"internal/run/area.go", `err != nil || uint32(sum) != crc32.ChecksumIEEE(body)`, `err != nil || uint32(sum) == 0 && crc32.ChecksumIEEE(body) == 1`}},
		[]suite{runTests, {"internal/run", "Damaged", ""}},
	},
	{
		"mark of another boot", "after a power cut a missing mark proves nothing (12, 15)",
		[]edit{{"internal/monitor/resume.go", `if run.Boot(f.start.Run) == s.boot || f.locked {`, `if true {`},
			{"internal/monitor/resume.go", `return f.end == nil && !f.live.MayHaveRun(f.start.Run) && run.Boot(f.start.Run) == boot`, `return f.end == nil && !f.live.MayHaveRun(f.start.Run) && (run.Boot(f.start.Run) == boot || boot != "")`}},
		[]suite{rebooted, powerCut, powerCuts},
	},
	{
		"an end without its log", "after a power cut an end counts with its log only (13)",
		[]edit{{"internal/run/logged.go", `return sum == e.LogSum, nil`, `return true, nil`}, {"internal/run/logged.go", `return false, nil`, `return true, nil`}},
		[]suite{powerCut, powerCuts},
	},
	{
		"a STATUS without its end", "after a power cut a STATUS counts with its end only (13)",
		[]edit{{"internal/monitor/powercut.go", `if err := s.unsay(j, flow.Phase(f.start.Phase), try, log); err != nil {`, `if err := error(nil); err != nil {`}},
		[]suite{{"test/crash/survive", "^TestStatusWithoutEnd$", ""}},
	},
	{
		"believed as it is in memory", "after a sync that failed a second one proves nothing (11)",
		[]edit{{"internal/monitor/recover.go", `s.gonePast(s.rewrite(l.Claimed))`, `map[spool.Claimed]error{}[l.Claimed]`},
			{"internal/monitor/recover.go", `s.gonePast(s.rewriteRecord(r))`, `error(nil)`}},
		[]suite{badBlocks, powerCut, powerCuts},
	},
	{
		"a past is believed as it is in memory", "fsync before believing (9, 11)",
		[]edit{{"internal/monitor/past.go", `err = s.gonePast(s.settlePast(f, good))`, `err = nil`}},
		[]suite{powerCutPast},
	},
	{
		"no record, no run", "what its log tells of is not begun again without a word (12)",
		[]edit{{"internal/monitor/trace.go", `if err != nil || t.what == nothingRan || st.Kind`, `if err != nil || t.what >= nothingRan || st.Kind`}},
		[]suite{damaged},
	},
	{
		"unknown runs go on", "what still runs of an unknown try is ended (15)",
		[]edit{{"internal/monitor/trace.go", `if !known[id] && !s.recorded[id] {`, `if known[id] && !s.recorded[id] {`}},
		[]suite{damaged},
	},
	{
		"a lost past is no past", "a flow whose past is gone does not begin anew without a word (12)",
		[]edit{{"internal/monitor/trace.go", `if !s.wentDown && len(next) > 0`, `if s.wentDown && len(next) > 0`}},
		[]suite{damaged},
	},
	{
		"clean-ups are forgotten", "what a message asked for is done (19, 6-flows)",
		[]edit{{"internal/monitor/cleanup.go", `!f.Asked() || f.Cleanups() == 0`, `!f.Asked() || f.Cleanups() >= 0`}},
		[]suite{cleansUp},
	},
	{
		"an end is not told after all", "told at least once: a crash between the commit and the telling (24)",
		[]edit{{"internal/monitor/retell.go", `	s.journal.Tell(ev)
	s.say("recovered", place.Name, "had ended`, `	s.say("recovered", place.Name, "had ended`}},
		[]suite{killed},
	},
	{
		"no lock on the record", "the lock of a record tells a survivor (15)",
		[]edit{{"internal/run/own.go", `locked, err := f.Lock("record:lock")`, `locked, err := true, error(nil)`}},
		[]suite{runTests, monitorKilled},
	},
	{
		"a record keeps its lock", "the lock of a record tells a survivor (15)",
		[]edit{{"internal/monitor/session.go", `	for r := range s.retired {
`, `	for r := range map[*run.Record]bool{} {
`}},
		[]suite{{"internal/monitor", "^TestRecordIsLetGo$", ""}},
	},
	{
		"survivors are not waited for", "locked means: a result is there or will come (15)",
		[]edit{{"internal/monitor/resume.go", `	case f.locked:
		c.record, c.keeper, c.stage = f.record, f.live.Runner, alive
`, `	case f.locked && false:
		c.record, c.keeper, c.stage = f.record, f.live.Runner, alive
`}},
		[]suite{monitorKilled},
	},
	{
		"interrupted runs are begun again", "no second run without a word (must never happen 2)",
		[]edit{{"internal/flow/flow.go", `case phase != Command || s.RetryInterrupted:`, `case true:`}},
		[]suite{{"internal/flow", ".", ""}, runnerKilled},
	},
	{
		"second run in silence", "no second run without a word (must never happen 2)",
		[]edit{{"internal/monitor/launch.go", `		if err = s.appendLog(j.Claimed, j.notices[:n]...); err == nil {`, `		if true {`}},
		[]suite{killed, runnerKilled},
	},
	{
		"lines at the end that was seen", "the log loses nothing of what is appended to it",
		[]edit{{"internal/monitor/write.go", `f.Append("log:write", b)`, `f.WriteAt("log:write", b, st.Size)`}},
		[]suite{{"internal/monitor", "^TestAppendTextBeside$", ""}},
	},
	{
		"tree is left alone", "the tree is killed, then it is interrupted (15)",
		[]edit{{"internal/monitor/launch.go", `if n, err := run.KillTree(c.runID, live); err != nil || n > 0 {`, `if n, err := 0, error(nil); err != nil || n > 0 {`}},
		[]suite{runnerKilled},
	},
	{
		"one look at the tree", "the tree is killed, then it is interrupted (15)",
		[]edit{{"internal/run/kill.go", `quietLooks = 3`, `quietLooks = 1`}},
		[]suite{{"test/crash/survive", "^TestTreeThatForks$", "CRASH=change"}},
	},
	{
		"no room for the end", "what must be written after the fork has its room before (22)",
		[]edit{{"internal/run/own.go", `if _, err := f.WriteAt("record:fill", blanks[:], 0); err != nil {`, `if err := error(nil); err != nil {`}},
		[]suite{{"internal/run", "FullDisk", ""}, trouble},
	},
	{
		"names tell who runs", "a number counts only with the time its process was born (15)",
		[]edit{{"internal/run/record.go", `if err != nil || p.Start != live.RunnerStart {`, `if err != nil || p.Start == 0 {`}},
		[]suite{runTests, monitorKilled},
	},
}
