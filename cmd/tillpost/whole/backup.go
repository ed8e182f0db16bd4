package whole

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
	"time"

	"tillpost/cmd/tillpost/hand"
	"tillpost/queue"
	"tillpost/queue/store"
)

// backup has the daemon make a copy and writes it to a file, whole or not at
// all.
func (t tool) backup(ctx context.Context, args []string) error {
	words, err := hand.Parse(hand.FlagSet("backup"), args, "FILE")
	if err != nil {
		return err
	}
	path := words[0]
	if info, err := os.Stat(path); err == nil && info.IsDir() {
		return fmt.Errorf("%s is a folder; name a file in it, such as %s", path, filepath.Join(path, "tillpost-"+time.Now().Format(time.DateOnly)+".db"))
	}
	n, err := replace(path, func(w io.Writer) error {
		_, err := t.Box.Backup(ctx, w)
		return err
	}, store.Verify)
	if err != nil {
		return err
	}
	if h, err := t.Box.Status(ctx); err == nil && h.Code == "row_aside" {
		fmt.Fprintf(t.Err, "%s It is not in this backup; one of before may have it\n", h.Reason)
	}
	if t.JSON {
		return t.Raw(map[string]any{"file": path, "bytes": n}, nil)
	}
	fmt.Fprintf(t.Out, "%s: %d bytes. It holds numbers and texts: keep it as you keep the box\n", path, n)
	return nil
}

// replace writes a file by way of FILE.part, which gets the name when it is on
// the disk and was found good.
func replace(path string, write func(io.Writer) error, good func(path string) error) (n int64, err error) {
	part := path + ".part"
	f, err := os.OpenFile(part, os.O_RDWR|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return 0, err
	}
	defer func() {
		if err != nil {
			if rerr := os.Remove(part); rerr != nil && !errors.Is(rerr, fs.ErrNotExist) {
				err = errors.Join(err, rerr)
			}
		}
	}()
	err = write(f)
	if err == nil {
		err = f.Sync()
	}
	if info, serr := f.Stat(); serr == nil {
		n = info.Size()
	}
	if err = errors.Join(err, f.Close()); err != nil {
		return 0, err
	}
	if err := good(part); err != nil {
		return 0, err
	}
	return n, rename(part, path)
}

// rename moves a file within its folder, durably.
func rename(from, to string) error {
	if err := os.Rename(from, to); err != nil {
		return err
	}
	dir, err := os.Open(filepath.Dir(to))
	if err != nil {
		return err
	}
	err = dir.Sync()
	if errors.Is(err, syscall.EINVAL) {
		err = nil // file systems of USB sticks cannot
	}
	return errors.Join(err, dir.Close())
}

// restore puts a backup in the place of the store. The store that was there is
// kept beside it, and whom it was told to forget since the backup was made is
// forgotten again when the daemon starts.
//
// All of it happens under the lock of the old store: a daemon that runs makes it
// fail, and one that is started meanwhile waits for the new one.
func (t tool) restore(ctx context.Context, args []string) (err error) {
	flags := hand.FlagSet("restore")
	dir := flags.String("data", "", "")
	words, err := hand.Parse(flags, args, "FILE")
	if err != nil {
		return err
	}
	file, path := words[0], filepath.Join(cmp.Or(*dir, configuredDir()), storeFile)
	if err := store.Verify(file); err != nil {
		return fmt.Errorf("nothing was changed: %w", err)
	}
	old, err := openOld(path)
	if err != nil {
		return err
	}
	if old != nil {
		defer func() { err = errors.Join(err, old.Close()) }()
	}

	fresh := path + ".restore"
	if err := copyFile(file, fresh); err != nil {
		return fmt.Errorf("nothing was changed: %w", err)
	}
	done, err := readyStore(ctx, fresh, old)
	if err != nil {
		return errors.Join(fmt.Errorf("nothing was changed: %w", err), os.Remove(fresh))
	}
	aside := ""
	if _, err := os.Stat(path); err == nil {
		aside = path + ".before-" + time.Now().UTC().Format("20060102-150405")
		if err := rename(path, aside); err != nil {
			return fmt.Errorf("nothing was changed: %w", err)
		}
	}
	if err := rename(fresh, path); err != nil {
		return fmt.Errorf("the store that was there is at %s now, and the backup at %s: give one of them the name %s: %w", aside, fresh, path, err)
	}
	fmt.Fprintf(t.Out, "%s is what %s held\n", path, file)
	if aside != "" {
		fmt.Fprintf(t.Out, "the store that was there is kept as %s\n", aside)
	}
	switch {
	case old == nil && aside != "":
		fmt.Fprintln(t.Err, "the store that was there cannot be read, so it is not known who was erased since the backup was made: erase them again (tillpost contacts erase NUMBER)")
	case done.erased > 0:
		fmt.Fprintf(t.Out, "%s erased since the backup was made: forgotten again when the daemon starts\n", hand.Count(done.erased, "person"))
	}
	if done.known > 0 {
		fmt.Fprintf(t.Out, "%s of the backup went on since it was made: what became of them is kept, none is sent again\n", hand.Count(done.known, "message"))
	}
	if done.unsure > 0 {
		fmt.Fprintf(t.Err, "%s may have been sent since the backup was made, and nothing here can tell: not sent by itself but listed as unknown; look at each and send it again or not (tillpost list)\n", hand.Count(done.unsure, "message"))
	}
	return nil
}

// openOld opens the store that is there: nil if there is none, or none that can
// be read. What cannot be read is what a backup is for.
func openOld(path string) (*store.DB, error) {
	if _, err := os.Stat(path); errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	db, err := store.Open(store.Options{Path: path, Timeout: time.Second}, schema()...)
	switch {
	case errors.Is(err, store.ErrInUse):
		return nil, fmt.Errorf("the daemon is running, and would go on with the store it has: stop it first (systemctl stop tillpostd); nothing was changed")
	case errors.Is(err, store.ErrDamaged), errors.Is(err, store.ErrFuture):
		return nil, nil
	case err != nil:
		return nil, fmt.Errorf("nothing was changed: %w", err)
	}
	return db, nil
}

// copyFile copies a backup to where it will be opened, for the user who owns
// the folder: the operator may be root, the daemon is not.
func copyFile(from, to string) error {
	in, err := os.Open(from)
	if err != nil {
		return err
	}
	defer in.Close()
	_, err = replace(to, func(w io.Writer) error {
		_, err := io.Copy(w, in)
		return err
	}, store.Verify)
	if err != nil {
		return err
	}
	info, err := os.Stat(filepath.Dir(to))
	if err != nil {
		return err
	}
	if owner, ok := info.Sys().(*syscall.Stat_t); ok && os.Geteuid() == 0 {
		return os.Chown(to, int(owner.Uid), int(owner.Gid))
	}
	return nil
}

// readyStore opens the copy, which also brings its layout up to date, reads all
// of it, gives it the list of whom to forget again, and what became of its
// messages since it was made.
func readyStore(ctx context.Context, path string, old *store.DB) (done readied, err error) {
	db, err := store.Open(store.Options{Path: path, MinFree: -1}, schema()...)
	if err != nil {
		return done, err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	db.AddCheck("queue", queue.Check)
	if err := db.Check(); err != nil {
		return done, fmt.Errorf("the backup does not hold together: %w", err)
	}
	if old != nil && old.Box() == db.Box() { // another box never knew these persons
		if done.erased, err = queue.CopyErasures(ctx, old, db); err != nil {
			return done, err
		}
	}
	done.known, done.unsure, err = queue.Restored(ctx, old, db)
	return done, err
}

// readied counts what a backup had to be told: persons erased since, messages
// whose fate the old store knows, and those whose fate nobody knows.
type readied struct{ erased, known, unsure int }
