package store

import (
	"errors"
	"fmt"
	"runtime/debug"
)

var (
	// ErrClosed: the store was closed, or is closing.
	ErrClosed = errors.New("store: closed")
	// ErrExists: Insert found a row with that key.
	ErrExists = errors.New("store: a row with this key exists")
	// ErrNotFound: Update found no row with that key.
	ErrNotFound = errors.New("store: no row with this key")
	// ErrReadOnly: a write inside View.
	ErrReadOnly = errors.New("store: a View cannot write")
	// ErrDiskLow: there is too little room for new work. See LowDisk.
	ErrDiskLow = errors.New("store: too little free space on the disk")
	// ErrDamaged: what is on the disk is not what was written there. See Damage.
	ErrDamaged = errors.New("store: damaged")
	// ErrInUse: another program holds the file.
	ErrInUse = errors.New("store: in use by another program")
	// ErrFuture: the file was written by a newer version of this program.
	ErrFuture = errors.New("store: written by a newer version")
	// ErrSealed: a commit failed in a way that leaves open whether it is on
	// the disk. Nothing is written any more until the file is opened again.
	ErrSealed = errors.New("store: sealed after a failed commit")
)

// Damage says what is wrong with a file. It is an ErrDamaged.
type Damage struct {
	File string
	What string // "page 7: …", `table message: row 00…2a: …`
	Err  error  // cause, or nil

	row *lostRow // that can be set aside; nil: nothing can
}

func (d *Damage) Error() string {
	what := d.What
	if d.Err != nil {
		what += ": " + d.Err.Error()
	}
	return fmt.Sprintf("store: %s is damaged (%s); put a backup back with \"tillpost restore\", or move the file away to begin empty", d.File, what)
}

func (d *Damage) Is(target error) bool { return target == ErrDamaged }
func (d *Damage) Unwrap() error        { return d.Err }

// PanicError is a panic inside a View or a Commit.
type PanicError struct {
	Value any
	Stack []byte
}

func (p *PanicError) Error() string {
	return fmt.Sprintf("store: panic in a transaction: %v", p.Value)
}

// Unwrap lets errors.Is see through panic(err).
func (p *PanicError) Unwrap() error {
	err, _ := p.Value.(error)
	return err
}

// panicError makes an error of what was recovered. Where the mapped file could
// not be read (cut off under us, a card that fails) it is damage.
func panicError(path string, v any) error {
	p := &PanicError{Value: v, Stack: debug.Stack()}
	if _, ok := v.(interface{ Addr() uintptr }); ok {
		return &Damage{File: path, What: "a page could not be read", Err: p}
	}
	return p
}
