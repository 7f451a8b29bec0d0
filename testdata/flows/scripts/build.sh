echo "building $1 for $2"
echo "program $1 for $2" > "program-$1-$2"
