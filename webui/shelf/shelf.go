// Package shelf keeps files that somebody has brought to the page while they
// decide what is to become of them.
//
// What it promises: a file is on disk and not in memory, only who brought it
// can take it, it goes after an hour, with a restart, or when many newer ones
// come; and nothing else is in its folder.
//
// It imports the standard library only.
package shelf

import (
	"bufio"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"sync"
	"time"
)

// Errors that a page must tell apart.
var (
	ErrGone   = errors.New("this file is not here any more. Bring it again")
	ErrTooBig = errors.New("this file is too big")
)

const (
	// KeptFor is how long a file stays.
	KeptFor = time.Hour
	most    = 8 // files at once; the oldest gives way
	sweep   = 5 * time.Minute
)

// Shelf is the place. Create it with Open, and run it.
type Shelf struct {
	dir string

	mu    sync.Mutex
	items []*Item // oldest first
}

// Item is one file. Its fields are for whoever holds the lock.
type Item struct {
	sync.Mutex // held while somebody works on it

	Token, Owner string
	Name         string // as it was called where it came from
	Size         int64
	Note         any // what became of it; nil: nothing yet

	shelf *Shelf
	until time.Time
}

// Open readies a shelf in a folder of its own. What lay there is removed.
func Open(dir string) (*Shelf, error) {
	if err := os.RemoveAll(dir); err != nil {
		return nil, fmt.Errorf("shelf: files of before cannot be removed: %w", err)
	}
	return &Shelf{dir: dir}, nil
}

// Run removes what is too old until ctx ends, and then everything.
func (s *Shelf) Run(ctx context.Context) error {
	t := time.NewTicker(sweep)
	defer t.Stop()
	for {
		select {
		case <-ctx.Done():
			return os.RemoveAll(s.dir)
		case <-t.C:
			if err := s.drop(func(it *Item, _ int) bool { return time.Now().After(it.until) }); err != nil {
				return err
			}
		}
	}
}

// Keep takes a file in, of at most so many bytes. Error: ErrTooBig, or one of
// the disk.
func (s *Shelf) Keep(owner, name string, from io.Reader, limit int64) (*Item, error) {
	it := &Item{Token: rand.Text(), Owner: owner, Name: name, shelf: s, until: time.Now().Add(KeptFor)}
	err := it.Write("", func(w io.Writer) (err error) {
		it.Size, err = io.Copy(w, io.LimitReader(from, limit+1))
		if err == nil && it.Size > limit {
			err = ErrTooBig
		}
		return err
	})
	if err != nil {
		return nil, errors.Join(err, it.remove())
	}
	s.mu.Lock()
	s.items = append(s.items, it)
	s.mu.Unlock()
	return it, s.drop(func(_ *Item, behind int) bool { return behind >= most })
}

// Take returns a file to who brought it. Error: ErrGone.
func (s *Shelf) Take(token, owner string) (*Item, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, it := range s.items {
		if it.Token == token && it.Owner == owner && time.Now().Before(it.until) {
			return it, nil
		}
	}
	return nil, ErrGone
}

// drop removes what is asked: behind are the newer ones.
func (s *Shelf) drop(gone func(it *Item, behind int) bool) error {
	s.mu.Lock()
	var kept, old []*Item
	for i, it := range s.items {
		if gone(it, len(s.items)-1-i) {
			old = append(old, it)
		} else {
			kept = append(kept, it)
		}
	}
	s.items = kept
	s.mu.Unlock()
	var errs []error
	for _, it := range old {
		errs = append(errs, it.remove())
	}
	return errors.Join(errs...)
}

func (it *Item) path(part string) string {
	if part != "" {
		part = "." + part
	}
	return filepath.Join(it.shelf.dir, it.Token+part)
}

// Read returns the file, or a part that was written beside it. Error: ErrGone,
// or one of the disk.
func (it *Item) Read(part string) ([]byte, error) {
	raw, err := os.ReadFile(it.path(part))
	if errors.Is(err, os.ErrNotExist) {
		return nil, ErrGone
	}
	return raw, err
}

// Write makes a part beside the file; the part without a name is the file.
func (it *Item) Write(part string, fill func(io.Writer) error) error {
	if err := os.MkdirAll(it.shelf.dir, 0o700); err != nil {
		return err
	}
	f, err := os.OpenFile(it.path(part), os.O_CREATE|os.O_WRONLY|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	w := bufio.NewWriter(f)
	if err = fill(w); err == nil {
		err = w.Flush()
	}
	return errors.Join(err, f.Close())
}

// remove takes the file and its parts from the disk.
func (it *Item) remove() error {
	all, err := filepath.Glob(it.path("") + "*")
	if err != nil {
		return err
	}
	for _, path := range all {
		if rm := os.Remove(path); rm != nil && !errors.Is(rm, os.ErrNotExist) {
			err = errors.Join(err, rm)
		}
	}
	return err
}
