echo "testing $1 on $2"
test -e "program-$1-$2"
