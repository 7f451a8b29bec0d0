sum=$(cat program-"$1"-* | cksum | cut -d' ' -f1)
echo "signing all of $1"
echo "SIGNATURE=$sum" >> "$MONITOR_OUTPUT"
