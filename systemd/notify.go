// Package systemd tells the service manager how the daemon is: ready, what it
// is doing, stopping, and alive. Beside it stand the unit and the files that
// make its user and its folders.
//
// It promises that nothing here ever stops the daemon: outside systemd every
// call does nothing. It imports no package of the house.
package systemd

import (
	"context"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/coreos/go-systemd/v22/daemon"
)

// Manager is the service manager that started us, or nobody.
type Manager struct{ log *slog.Logger }

// New returns the manager. A notice that cannot be delivered is logged; the
// daemon goes on.
func New(log *slog.Logger) *Manager { return &Manager{log: log} }

// Ready says that the daemon accepts messages (sd_notify(3), READY).
func (m *Manager) Ready() { m.tell(daemon.SdNotifyReady) }

// Stopping says that the daemon is on its way down.
func (m *Manager) Stopping() { m.tell(daemon.SdNotifyStopping) }

// Status is the one line that `systemctl status` shows.
func (m *Manager) Status(line string) {
	m.tell("STATUS=" + strings.ReplaceAll(line, "\n", " "))
}

func (m *Manager) tell(state string) {
	if _, err := daemon.SdNotify(false, state); err != nil {
		m.log.Warn("systemd was not told", "notice", strings.SplitN(state, "=", 2)[0], "err", err)
	}
}

// Watch feeds the watchdog (WatchdogSec=) three times in its period for as
// long as alive returns nil, until ctx ends. An alive that fails or hangs
// starves it on purpose: systemd then kills and restarts a daemon that only
// looks as if it ran. Without a watchdog Watch returns at once.
func (m *Manager) Watch(ctx context.Context, alive func() error) {
	period, err := daemon.SdWatchdogEnabled(false)
	if err != nil {
		m.log.Warn("the watchdog's period cannot be read, so it is not fed", "err", err)
		return
	}
	if period == 0 {
		return
	}
	tick := time.NewTicker(period / 3)
	defer tick.Stop()
	for {
		if err := alive(); err != nil {
			m.log.Error("the watchdog is not fed", "err", err)
		} else {
			m.tell(daemon.SdNotifyWatchdog)
		}
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

// RuntimeDir is the folder below /run that the unit made for us
// (RuntimeDirectory=), or "". systemd separates several by colons; the first
// is ours.
func RuntimeDir() string {
	first, _, _ := strings.Cut(os.Getenv("RUNTIME_DIRECTORY"), ":")
	if !filepath.IsAbs(first) {
		return ""
	}
	return first
}
