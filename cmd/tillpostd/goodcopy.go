package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"time"

	"tillpost/queue/store"
)

// goodCopy keeps one copy of the store that was read whole, at most a day old,
// beside it: cards lose pages, and then yesterday is much better than nothing.
// It is what `tillpost restore` is given when the shop has made no backup.
//
// An idle box writes no copy, a large store none at all: it would wear the card
// out and fill it. Who is erased is erased from the copy by its removal. A store
// of which something had to be set aside does not replace what may still have it.
type goodCopy struct {
	db   *store.DB
	path string
	log  *slog.Logger

	commits int64 // of the store when the copy was made
}

const (
	goodSuffix = ".good"
	goodEvery  = 24 * time.Hour
	goodLook   = time.Hour
	goodMost   = 256 << 20 // bytes of a store that is copied every day
)

func newGoodCopy(db *store.DB, log *slog.Logger) *goodCopy {
	return &goodCopy{db: db, path: db.Path() + goodSuffix, log: log, commits: -1}
}

// run makes copies until ctx ends.
func (g *goodCopy) run(ctx context.Context) error {
	tick := time.NewTicker(goodLook)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
		if err := g.look(time.Now()); err != nil {
			g.log.Warn("no new good copy of the store could be kept, the one before stays; make a backup (tillpost backup FILE)", "err", err)
		}
		if err := g.db.WipeAsides(ctx, time.Now().Add(-store.AsideKept)); err != nil {
			g.log.Warn("what was set aside long ago is still kept", "err", err)
		}
	}
}

// look makes a copy if it is time for one.
func (g *goodCopy) look(now time.Time) error {
	stats := g.db.Stats()
	if stats.Commits == g.commits || stats.Size > goodMost {
		return nil
	}
	switch info, err := os.Stat(g.path); {
	case errors.Is(err, fs.ErrNotExist):
	case err != nil:
		return err
	case now.Sub(info.ModTime()).Abs() < goodEvery:
		return nil
	}
	next := g.path + ".next"
	if err := g.db.BackupFile(next); err != nil {
		return err
	}
	g.commits = stats.Commits
	if _, err := os.Stat(g.path); err == nil && now.Sub(g.db.LastAside()) < store.AsideFresh {
		return os.Remove(next)
	}
	return os.Rename(next, g.path)
}

// forget removes the copy: it holds a person who is to be forgotten. The next
// one is made within the hour, without him. So it does with the stores that a
// restore (.before-) or a new layout (.v1) has put aside.
func (g *goodCopy) forget(context.Context, string) (int, error) {
	for _, suffix := range []string{".before-*", ".v[0-9]*"} {
		old, err := filepath.Glob(g.db.Path() + suffix)
		if err != nil {
			return 0, fmt.Errorf("the folder of the store cannot be searched for old copies: %w", err)
		}
		for _, path := range old {
			if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
				return 0, fmt.Errorf("an old copy of the store still holds the person: %w", err)
			}
		}
	}
	if err := os.Remove(g.path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return 0, fmt.Errorf("the good copy of the store still holds the person: %w", err)
	}
	return 0, nil
}

// mentionGoodCopy tells of the copy to whoever must put a damaged store right.
func mentionGoodCopy(err error, path string) error {
	if !errors.Is(err, store.ErrDamaged) {
		return err
	}
	info, serr := os.Stat(path + goodSuffix)
	if serr != nil {
		return err
	}
	return fmt.Errorf("%w. A good copy of %s is at %s: tillpost restore %[3]s", err, info.ModTime().Format("2006-01-02 15:04"), path+goodSuffix)
}
