#!/bin/sh
# A spool in ./spool with these examples in wait-q, and the monitor in the
# foreground: what `make run` does.
set -eu
examples=$(dirname "$0")
if [ ! -d spool/.monitor ]; then
    bin/monitor init spool
    # Written elsewhere on the same file system, then moved in.
    for f in hello disk-report colours flaky too-slow unsuccessful; do
        cp "$examples/$f" "spool/.$f.part" && mv "spool/.$f.part" "spool/wait-q/$f"
    done
fi
cat <<'EOF'

The monitor works on ./spool; end it with Ctrl-C. In another terminal, try:

  cd spool
  tail -F monitor_says                     what it does
  ls *-q currently-executing               where everything is
  cat done-q/hello                         one file tells all
  printf '==== UNIT OF WORK\nCOMMAND :: sleep 20\n' > wait-q/nap
  echo STATUS >> monitor_reads             (or: ../bin/monitor status)
  echo 'KILL JOB nap' >> monitor_reads
  mv error-q/unsuccessful wait-q/          once more
  ../bin/monitor submit --wait -- uname -a

EOF
exec bin/monitor run --root spool
