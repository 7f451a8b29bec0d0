package main

import "slices"

// table is all mutants: each a rule of durability that is off.
var table = slices.Concat(disk, names, rounds, runs, reads, people, queue)

// The tests that know most. What sees a mutant at once comes first in its list.
var (
	durableTests  = suite{"internal/durable", ".", ""}
	spoolTests    = suite{"internal/spool", ".", ""}
	messagesTests = suite{"internal/messages", "^Test[^S]", ""} // not the shells
	runTests      = suite{"internal/run", "Record|End|Kill|Monitor|Runner|Adopted|Fork|Left", ""}
	powerCut      = suite{"test/crash", "^TestPowerCut$", ""}
	powerCuts     = suite{"test/crash", "^TestPowerCut$", "CRASH_HUNT=yes"}
	powerCutFlows = suite{"test/crash", "^TestPowerCut$", "CRASH_HUNT=yes CRASH_ONLY=^flow$"}
	powerCutBack  = suite{"test/crash", "^TestPowerCut$", "CRASH_HUNT=yes CRASH_ONLY=^restored$"}
	powerCutPast  = suite{"test/crash", "^TestPowerCut$", "CRASH_HUNT=yes CRASH_ONLY=^flow.that.fails$"}
	cleansUp      = suite{"test/crash", "^TestKillBoth$", "CRASH=change CRASH_ONLY=^clean-up"}
	blocks        = suite{"test/crash", "^TestBlockStates$/^ext4$", "CRASH=change"}
	clients       = suite{"test/crash", "^TestClients$|^TestWaitSyncs$|^TestSubmitSyncs$", ""}
	killed        = suite{"test/crash", "^TestKillMonitor$", ""}
	killedDone    = suite{"test/crash", "^TestKillMonitor$", "CRASH=change CRASH_ONLY=^done$"}
	killedPlain   = suite{"test/crash", "^TestKillMonitorWithoutFlags$", ""}
	killedRunner  = suite{"test/crash", "^TestKillRunner$", ""}
	killedBoth    = suite{"test/crash", "^TestKillBoth$", ""}
	errorsOnce    = suite{"test/crash", "^TestFailMonitor$", ""}
	monitorKilled = suite{"test/crash/survive", "^TestMonitorKilled$", ""}
	runnerKilled  = suite{"test/crash/survive", "^TestRunnerKilled$", ""}
	damaged       = suite{"test/crash/survive", "^TestRecordsDamaged$", ""}
	rebooted      = suite{"test/crash/survive", "^TestRebooted$", ""}
	zoo           = suite{"test/crash/habits", "^TestZoo$", ""}
	copies        = suite{"test/crash/habits", "^TestCopiesInProgress$", ""}
	whileItWaits  = suite{"test/crash/habits", "^TestWhileItWaits$", ""}
	whileItRuns   = suite{"test/crash/habits", "^TestWhileItRuns$", ""}
	inALoop       = suite{"test/crash/habits", "^TestReplacedInALoop$", ""}
	hardPlaces    = suite{"test/crash/reads", "^TestHardPlaces$", ""}
	replaced      = suite{"test/crash/reads", "^TestReplacedWhileWritten$", ""}
	readsKilled   = suite{"test/crash/reads", "^TestKilledAtEachOperation$", "CRASH=change"}
	badBlocks     = suite{"test/crash/trouble", "^TestBadBlocks$", ""}
	trouble       = suite{"test/crash/trouble", "^TestTroublePasses$", ""}
)
