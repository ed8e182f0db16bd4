package usb

import (
	"encoding/binary"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// Holder is a program that has a port open, or has a lock on it.
type Holder struct {
	PID     int    `json:"pid,omitempty"` // 0: the lock does not say
	Command string `json:"command,omitempty"`
	Lock    string `json:"lock,omitempty"` // the lock file, if that names it
	Gone    bool   `json:"gone,omitempty"` // the lock was left behind by a program that runs no longer
}

// Program is a process as it is told to a person.
type Program struct {
	PID     int
	Name    string // as the kernel knows it, at most 15 bytes
	Command string // with its arguments
}

// Programs lists the processes of proc (/proc).
func Programs(proc string) []Program {
	entries, err := os.ReadDir(proc)
	if err != nil {
		return nil
	}
	var list []Program
	for _, e := range entries {
		pid, err := strconv.Atoi(e.Name())
		if err != nil {
			continue
		}
		p := Program{PID: pid, Name: attribute(filepath.Join(proc, e.Name()), "comm")}
		if p.Name == "" {
			continue // it has just ended
		}
		words := strings.ReplaceAll(attribute(filepath.Join(proc, e.Name()), "cmdline"), "\x00", " ")
		if p.Command = strings.TrimSpace(words); p.Command == "" {
			p.Command = p.Name
		}
		list = append(list, p)
	}
	return list
}

// Holders lists who holds a port: by what processes have open, as far as we may
// look (all of it is root's alone), and by the lock files that programs for
// serial lines leave (LCK..ttyUSB2 with a pid, FHS 3.0 §5.9; some write it as
// four bytes).
func Holders(device, proc, lockDir string) []Holder {
	names := map[string]bool{device: true}
	if real, err := filepath.EvalSymlinks(device); err == nil {
		names[real] = true
	}
	var list []Holder
	running := map[int]string{}
	for _, p := range Programs(proc) {
		running[p.PID] = p.Command
		dir := filepath.Join(proc, strconv.Itoa(p.PID), "fd")
		open, err := os.ReadDir(dir)
		if err != nil {
			continue // not ours to see
		}
		for _, fd := range open {
			if to, err := os.Readlink(filepath.Join(dir, fd.Name())); err == nil && names[to] {
				list = append(list, Holder{PID: p.PID, Command: p.Command})
				break
			}
		}
	}
	lock := filepath.Join(lockDir, "LCK.."+filepath.Base(device))
	text, err := os.ReadFile(lock)
	if err != nil {
		return list
	}
	pid, err := strconv.Atoi(strings.TrimSpace(string(text)))
	if err != nil && len(text) == 4 {
		pid = int(binary.NativeEndian.Uint32(text))
	}
	for i := range list {
		if list[i].PID == pid {
			list[i].Lock = lock
			return list
		}
	}
	command, alive := running[pid]
	return append(list, Holder{PID: pid, Command: command, Lock: lock, Gone: !alive})
}
