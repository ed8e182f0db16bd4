package hand

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"
)

// secret asks for a PIN without showing it; from a pipe it reads one line.
func (t *Tool) secret(ctx context.Context, prompt string) (string, error) {
	if file, ok := t.In.(*os.File); ok {
		if old, err := unix.IoctlGetTermios(int(file.Fd()), unix.TCGETS); err == nil { // a terminal
			// Whoever interrupts us here must not be left with a dark terminal.
			var stop context.CancelFunc
			ctx, stop = signal.NotifyContext(ctx, os.Interrupt, syscall.SIGTERM)
			defer stop()
			fmt.Fprint(t.Err, prompt)
			dark := *old
			dark.Lflag &^= unix.ECHO
			if err := unix.IoctlSetTermios(int(file.Fd()), unix.TCSETS, &dark); err != nil {
				return "", fmt.Errorf("the terminal would show what you type: %w", err)
			}
			defer func() {
				fmt.Fprintln(t.Err)
				if err := unix.IoctlSetTermios(int(file.Fd()), unix.TCSETS, old); err != nil {
					fmt.Fprintln(t.Err, "the terminal stays dark (stty echo mends it):", err)
				}
			}()
		}
	}
	type answer struct {
		line string
		err  error
	}
	typed := make(chan answer, 1)
	go func() { // ends with what it reads, at the latest with the process
		line, err := bufio.NewReader(t.In).ReadString('\n')
		typed <- answer{line, err}
	}()
	select {
	case <-ctx.Done():
		return "", errors.New("no PIN was given: it was interrupted")
	case a := <-typed:
		if a.err != nil && !errors.Is(a.err, io.EOF) {
			return "", fmt.Errorf("reading the PIN: %w", a.err)
		}
		if pin := strings.TrimSpace(a.line); pin != "" {
			return pin, nil
		}
		return "", errors.New("no PIN was given")
	}
}
