package api

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"strconv"
	"time"

	"golang.org/x/sys/unix"
)

// The operator's socket. Whoever may open it (owner and group, 0660) has full
// rights; the kernel tells who that is, and the story of what was done names
// them.

type operatorKey struct{}

// operator is who is at the other end of the socket, "uid:1000".
func operator(ctx context.Context) (by string, ok bool) {
	by, ok = ctx.Value(operatorKey{}).(string)
	return by, ok
}

// ListenSocket opens the socket at path. A file left by a program that is gone
// is replaced; one that still answers is an error.
func ListenSocket(path string) (net.Listener, error) {
	if c, err := net.DialTimeout("unix", path, time.Second); err == nil {
		c.Close()
		return nil, fmt.Errorf("api: socket %s: another program answers there; stop it first", path)
	}
	if info, err := os.Lstat(path); err == nil {
		if info.Mode()&os.ModeSocket == 0 {
			return nil, fmt.Errorf("api: socket %s: there is a file of that name which is not a socket; move it away", path)
		}
		if err := os.Remove(path); err != nil {
			return nil, fmt.Errorf("api: socket %s: removing what the last start left: %w", path, err)
		}
	}
	l, err := net.Listen("unix", path)
	if err != nil {
		return nil, fmt.Errorf("api: socket: %w", err)
	}
	// Until here the usual umask kept others out: to connect is to write.
	if err := os.Chmod(path, 0o660); err != nil {
		l.Close()
		return nil, fmt.Errorf("api: socket: %w", err)
	}
	return l, nil
}

// ServeSocket answers on the socket until ctx ends and calls under way are
// done, for at most ten seconds.
func (a *API) ServeSocket(ctx context.Context, l net.Listener) error {
	srv := &http.Server{
		Handler: a, ReadHeaderTimeout: 10 * time.Second, IdleTimeout: 2 * time.Minute,
		ConnContext: func(ctx context.Context, c net.Conn) context.Context {
			by, err := peer(c)
			if err != nil { // served as a stranger then: every call asks for a key
				a.log.Error("the caller at the socket is not known", "err", err)
				return ctx
			}
			return context.WithValue(ctx, operatorKey{}, by)
		},
	}
	ended := make(chan error, 1)
	go func() { ended <- srv.Serve(l) }()
	select {
	case err := <-ended:
		return fmt.Errorf("api: socket: %w", err)
	case <-ctx.Done():
	}
	drain, cancel := context.WithTimeout(context.WithoutCancel(ctx), 10*time.Second)
	defer cancel()
	err := srv.Shutdown(drain)
	if served := <-ended; !errors.Is(served, http.ErrServerClosed) {
		err = errors.Join(err, served)
	}
	return err
}

// peer asks the kernel who opened the connection (unix(7), SO_PEERCRED).
func peer(c net.Conn) (string, error) {
	u, ok := c.(*net.UnixConn)
	if !ok {
		return "", fmt.Errorf("api: %T is not a unix socket", c)
	}
	raw, err := u.SyscallConn()
	if err != nil {
		return "", fmt.Errorf("api: peer: %w", err)
	}
	var cred *unix.Ucred
	var asked error
	if err := raw.Control(func(fd uintptr) {
		cred, asked = unix.GetsockoptUcred(int(fd), unix.SOL_SOCKET, unix.SO_PEERCRED)
	}); err != nil {
		return "", fmt.Errorf("api: peer: %w", err)
	}
	if asked != nil {
		return "", fmt.Errorf("api: peer: SO_PEERCRED: %w", asked)
	}
	return "uid:" + strconv.FormatUint(uint64(cred.Uid), 10), nil
}
