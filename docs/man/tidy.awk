# Moves or replaces those paragraph macros of scdoc's output that mean nothing where
# they stand, of which `mandoc -Tlint` warns; what is seen stays the same.
/^\.P$/ { held = 1; next }
held && /^\.RE$/ { print; next }
held && /^\.(nf|RS)/ && last !~ /^\.S[HS]/ { print ".sp" }
held && !/^\.(S[HS]|nf|RS)/ && last !~ /^\.S[HS]/ { print ".P" }
{ held = 0; print; last = $0 }
