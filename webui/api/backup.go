package api

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"time"
)

// backup answers with a copy of the whole store, as it is at one moment. The
// copy is made on the box first and read back: a slow reader must not keep a
// transaction open, and what nobody has read is a hope, not a copy.
func (a *API) backup(c *call) (*reply, error) {
	if !a.copying.TryLock() {
		p := refusal(http.StatusConflict, "backup_running", "", "a backup is being made. Wait until it is done")
		p.RetryAfter = 10 * time.Second
		return nil, p
	}
	defer a.copying.Unlock()
	path := a.db.Path() + ".backup"
	if err := a.db.BackupFile(path); err != nil {
		return nil, err
	}
	f, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("api: the backup was made and cannot be read: %w", err)
	}
	defer f.Close()
	// From here on it has no name: whatever happens, it does not stay.
	if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("api: the backup stays on the box: %w", err)
	}
	info, err := f.Stat()
	if err != nil {
		return nil, fmt.Errorf("api: %w", err)
	}
	a.log.Info("a backup is handed out", "by", c.who.by, "bytes", info.Size())
	h := c.w.Header()
	h.Set("Content-Type", "application/octet-stream")
	h.Set("Content-Length", strconv.FormatInt(info.Size(), 10))
	h.Set("Content-Disposition", fmt.Sprintf(`attachment; filename="tillpost-%s%s"`, a.queue.Now().UTC().Format("20060102-150405"), filepath.Ext(a.db.Path())))
	h.Set("Cache-Control", "no-store")
	c.w.WriteHeader(http.StatusOK)
	if err := handOut(c.w, f, backupPatience); err != nil {
		a.log.Debug("backup not taken", "err", err) // the reader sees that it is too short
	}
	return nil, nil
}

// backupPatience is how long a reader may take for backupPiece bytes: one that
// stands still would keep everybody else from making a backup.
const (
	backupPatience = time.Minute
	backupPiece    = 1 << 20
)

// handOut copies r to w, each piece of it within patience.
func handOut(w http.ResponseWriter, r io.Reader, patience time.Duration) error {
	control := http.NewResponseController(w)
	for {
		if err := control.SetWriteDeadline(time.Now().Add(patience)); err != nil && !errors.Is(err, http.ErrNotSupported) {
			return err
		}
		_, err := io.CopyN(w, r, backupPiece)
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return err
		}
	}
}
