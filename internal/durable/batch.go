package durable

import (
	"errors"
	"slices"

	"golang.org/x/sys/unix"
)

// Batch is what a round changed and one commit makes durable. It is filled by
// one goroutine, and may then be committed by another.
type Batch struct {
	root  *Dir
	whole bool // one syncfs covers it
	files []*File
	dirs  []dirAt
	dirty bool
}

type dirAt struct {
	dir  *Dir
	rank int
}

// Where syncfs is known to wait for data, metadata and the disk's cache, and to
// report an error: one call instead of three per job. FUSE for one swallows it.
var wholeSync = map[int64]bool{
	unix.EXT4_SUPER_MAGIC: true, unix.XFS_SUPER_MAGIC: true, unix.BTRFS_SUPER_MAGIC: true,
	unix.F2FS_SUPER_MAGIC: true, unix.TMPFS_MAGIC: true,
}

// NewBatch starts a batch for the file system root lies on.
func NewBatch(root *Dir) *Batch {
	var st unix.Statfs_t
	err := unix.Fstatfs(root.fd, &st)
	return &Batch{root: root, whole: err == nil && wholeSync[int64(st.Type)]}
}

// Next starts an empty batch of the same kind.
func (b *Batch) Next() *Batch { return &Batch{root: b.root, whole: b.whole} }

// Whole reports whether a commit is one call for the whole file system.
func (b *Batch) Whole() bool { return b.whole }

// Discard closes what a batch holds that will never be committed.
func (b *Batch) Discard() {
	for _, f := range b.files {
		f.Close()
	}
	b.files = nil
}

// Dirty reports whether there is anything to commit.
func (b *Batch) Dirty() bool { return b.dirty }

// File takes f over: what was written to it will be durable, then it is closed.
func (b *Batch) File(f *File) error {
	b.dirty = true
	if b.whole {
		return f.Close()
	}
	// One for reading is enough to sync, and is no writer to who asks for a lease
	// before the commit.
	if r, err := f.Reopen("commit:reopen", false); err == nil {
		err = f.Close()
		f = r
		if err != nil {
			return errors.Join(err, f.Close())
		}
	}
	b.files = append(b.files, f)
	return nil
}

// Covers has the batch cover what was written to a file that goes on being written to:
// open gives it one more descriptor, if it needs any.
func (b *Batch) Covers(open func() (*File, error)) error {
	b.dirty = true
	if b.whole {
		return nil
	}
	f, err := open()
	if err != nil {
		return err
	}
	return b.File(f)
}

// Dir notes that a name in d came or went. Directories are synced after all
// files, lowest rank first: give where things arrive a lower rank than where
// they leave, so that a half-done move shows a file twice and never not at all.
func (b *Batch) Dir(d *Dir, rank int) {
	b.dirty = true
	if !slices.Contains(b.dirs, dirAt{d, rank}) && !b.whole {
		b.dirs = append(b.dirs, dirAt{d, rank})
	}
}

// Commit makes the batch durable. After an error nothing is known of what it
// covered, and asking again would prove nothing.
func (b *Batch) Commit(site Site) error {
	if !b.dirty {
		return nil
	}
	if b.whole {
		return fail(site, b.root.path, attempt(site, func() error { return unix.Syncfs(b.root.fd) }))
	}
	var errs []error
	for _, f := range b.files {
		errs = append(errs, f.Sync(site), f.Close())
	}
	slices.SortStableFunc(b.dirs, func(x, y dirAt) int { return x.rank - y.rank })
	for _, d := range b.dirs {
		errs = append(errs, d.dir.Sync(site))
	}
	return errors.Join(errs...)
}
