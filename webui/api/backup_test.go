package api

import (
	"bytes"
	"net"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"
)

// A reader that stands still is let go of, so that others get their backup.
func TestABackupWaitsForNoReaderForEver(t *testing.T) {
	ended := make(chan error, 1)
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		ended <- handOut(w, bytes.NewReader(make([]byte, 64<<20)), 100*time.Millisecond)
	}))
	defer s.Close()
	conn, err := net.Dial("tcp", s.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if _, err := conn.Write([]byte("GET / HTTP/1.1\r\nHost: box\r\n\r\n")); err != nil {
		t.Fatal(err)
	}
	select {
	case err := <-ended:
		if err == nil {
			t.Error("nobody read it, and it was handed out")
		}
	case <-time.After(20 * time.Second):
		t.Error("it still waits")
	}
}
