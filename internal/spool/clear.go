package spool

import (
	"fmt"
	"slices"
	"strings"

	"simplejobq/internal/durable"
)

// Clear clears .monitor/tmp at start. What is certainly ours goes; an original
// that came out of an exchange changed, or out of a queue without its copy
// coming in, is somebody's work and is put where it can be found.
func (s *Spool) Clear() (said []string, err error) {
	var names []string
	if err := s.Tmp.List(func(n durable.Name) bool { names = append(names, n.Name); return true }); err != nil {
		return nil, err
	}
	// Originals first: whether a copy came in is told by its not being here.
	slices.SortFunc(names, func(a, b string) int { return strings.Compare(b, a) })
	for _, name := range names {
		text, err := s.clear(name, names)
		if text != "" {
			said = append(said, text)
		}
		if err != nil {
			return said, err // what comes next tells of what could not be cleared
		}
	}
	return said, nil
}

func (s *Spool) clear(name string, all []string) (string, error) {
	st, err := s.Tmp.Stat(name)
	if err != nil {
		return "", present(err)
	}
	if strings.HasPrefix(name, "out-") {
		return s.clearOut(name, all)
	}
	t, ok := parseTempName(name)
	if !ok || st.Ino == t.copy || st.Ino == t.original && st.Size == t.size && st.Mtime == t.mtime {
		return "", s.Tmp.RemoveAll("clear:remove", name)
	}
	return s.keep("clear:keep", name, name)
}

// keep moves what somebody wrote from tmp to where it is found.
func (s *Spool) keep(site durable.Site, name, as string) (said string, err error) {
	target, err := s.free(Trash, as)
	if err != nil {
		return "", err
	}
	s.changed(Trash)
	return fmt.Sprintf("a file was written to or replaced while it was accepted; what somebody wrote is in %s/%s", s.Name(Trash), target),
		s.Tmp.Move(site, name, s.dirs[Trash], target)
}

// tempName is the name of a whole copy in tmp. After an exchange the name leads to
// what lay in the queue: the original it was made of, or a file that somebody put
// there meanwhile. Hence it tells the inodes of the copy and of the original, and
// what that looked like.
type tempName struct {
	seq            int
	copy, original uint64
	size, mtime    int64
}

const tempFormat = "accept-%d-%d-%d-%d-%d"

func (t tempName) String() string {
	return fmt.Sprintf(tempFormat, t.seq, t.copy, t.original, t.size, t.mtime)
}

func parseTempName(name string) (t tempName, ok bool) {
	n, _ := fmt.Sscanf(name, tempFormat, &t.seq, &t.copy, &t.original, &t.size, &t.mtime)
	return t, n == 5
}

// clearOut looks at an original that was taken out of its queue by turns. Its copy
// came in if it is not in tmp any more; only then, and only if nobody wrote to
// the original since, is that one too many.
func (s *Spool) clearOut(name string, all []string) (text string, err error) {
	var seq, q int
	var ino uint64
	var size, mtime int64
	if n, _ := fmt.Sscanf(name, "out-%d-%d-%d-%d-%d", &seq, &q, &ino, &size, &mtime); n != 5 || q < 0 || q >= int(Queues) {
		return "", s.Tmp.RemoveAll("clear:remove", name)
	}
	dir, err := s.Tmp.Sub(name)
	if err != nil {
		return "", err
	}
	defer dir.Close()
	var original durable.Name
	if err := dir.List(func(n durable.Name) bool { original = n; return false }); err != nil {
		return "", err
	}
	if original.Name != "" {
		st, err := dir.Stat(original.Name)
		if err != nil {
			return "", err
		}
		there, is, err := s.Find(Queue(q), original.Name)
		if err != nil {
			return "", err
		}
		if is && there.Ino == st.Ino { // half of its move out: it is where it was
			return "", s.Tmp.RemoveAll("clear:remove", name)
		}
		waiting := slices.ContainsFunc(all, func(n string) bool {
			t, ok := parseTempName(n)
			return ok && t.original == ino && (!is || there.Ino != t.copy)
		})
		if waiting || st.Size != size || st.Mtime != mtime {
			to := Queue(q)
			if !waiting {
				// Its copy is in the queue. What a power cut or a writer made of the
				// original since is kept, and is not run beside it.
				to = Trash
			}
			newName := original.Name
			if _, there, err := s.Find(to, newName); err != nil {
				return "", err
			} else if there {
				if newName, err = s.free(to, newName); err != nil {
					return "", err
				}
			}
			if err := dir.Move("clear:back", original.Name, s.dirs[to], newName); err != nil {
				return "", err
			}
			s.changed(to)
			text = fmt.Sprintf("%s was between two names; it is in %s as %s", original.Name, s.Name(to), newName)
		}
	}
	return text, s.Tmp.RemoveAll("clear:remove", name)
}
