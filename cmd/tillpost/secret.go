package main

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"golang.org/x/sys/unix"
)

// secret asks for a PIN without showing it; from a pipe it reads one line.
func (t *tool) secret(prompt string) (string, error) {
	file, ok := t.in.(*os.File)
	if ok {
		if old, err := unix.IoctlGetTermios(int(file.Fd()), unix.TCGETS); err == nil { // a terminal
			fmt.Fprint(t.err, prompt)
			dark := *old
			dark.Lflag &^= unix.ECHO
			if err := unix.IoctlSetTermios(int(file.Fd()), unix.TCSETS, &dark); err != nil {
				return "", fmt.Errorf("the terminal would show what you type: %w", err)
			}
			defer func() {
				fmt.Fprintln(t.err)
				if err := unix.IoctlSetTermios(int(file.Fd()), unix.TCSETS, old); err != nil {
					fmt.Fprintln(t.err, "the terminal stays dark (stty echo mends it):", err)
				}
			}()
		}
	}
	line, err := bufio.NewReader(t.in).ReadString('\n')
	if err != nil && !errors.Is(err, io.EOF) {
		return "", fmt.Errorf("reading the PIN: %w", err)
	}
	line = strings.TrimSpace(line)
	if line == "" {
		return "", errors.New("no PIN was given")
	}
	return line, nil
}
