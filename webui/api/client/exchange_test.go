package client

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"tillpost/webui/api/wire"
)

// answering is a peer that reads one request's head and says what it is told.
func answering(t *testing.T, answer string) *Client {
	t.Helper()
	path := filepath.Join(t.TempDir(), "s")
	l, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			in := bufio.NewReader(conn)
			for line := ""; line != "\r\n" && err == nil; {
				line, err = in.ReadString('\n')
			}
			io.WriteString(conn, answer) // the caller may have heard enough
			conn.Close()
		}
	}()
	t.Cleanup(func() {
		l.Close()
		<-done
	})
	c, err := New(Config{Socket: path, Timeout: 10 * time.Second})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func TestAnswersAreReadAsTheRFCSays(t *testing.T) {
	const ok = "HTTP/1.1 200 OK\r\n"
	for name, tc := range map[string]struct {
		answer, want string
		wrong        string // in the error; empty: none
	}{
		"its length is told":               {ok + "Content-Length: 5\r\n\r\nhello", "hello", ""},
		"what follows is not of it":        {ok + "Content-Length: 5\r\n\r\nhello there", "hello", ""},
		"it ends with the connection":      {ok + "\r\nhello", "hello", ""},
		"it comes in chunks":               {ok + "Transfer-Encoding: chunked\r\n\r\n3\r\nhel\r\n2;x=y\r\nlo\r\n0\r\n\r\n", "hello", ""},
		"of chunks there are none":         {ok + "Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n", "", ""},
		"something comes before it":        {"HTTP/1.1 100 Continue\r\n\r\n" + ok + "Content-Length: 5\r\n\r\nhello", "hello", ""},
		"it has no body":                   {"HTTP/1.1 204 No Content\r\n\r\n", "", ""},
		"it breaks off":                    {ok + "Content-Length: 5\r\n\r\nhel", "hel", "unexpected EOF"},
		"it breaks off in a chunk":         {ok + "Transfer-Encoding: chunked\r\n\r\n5\r\nhel", "hel", "unexpected EOF"},
		"it breaks off between chunks":     {ok + "Transfer-Encoding: chunked\r\n\r\n3\r\nhel\r\n", "hel", "unexpected EOF"},
		"a chunk is longer than it said":   {ok + "Transfer-Encoding: chunked\r\n\r\n3\r\nhello\r\n0\r\n\r\n", "hel", "longer than it said"},
		"a chunk has no length":            {ok + "Transfer-Encoding: chunked\r\n\r\nx\r\nhello", "", "begins with"},
		"its head breaks off":              {ok + "Content-Le", "", "malformed MIME header"},
		"there is none":                    {"", "", "unexpected EOF"},
		"it is no HTTP":                    {"220 mail.example ESMTP\r\n", "", "does not speak HTTP/1.1"},
		"its length is no number":          {ok + "Content-Length: five\r\n\r\nhello", "", "as its length"},
		"it is packed, which nobody wants": {ok + "Transfer-Encoding: gzip\r\n\r\nhello", "", "transfer coding"},
		"its head has no end":              {ok + "X: " + strings.Repeat("x", maxHead) + "\r\n\r\n", "", "unexpected EOF"},
		"it leads elsewhere":               {"HTTP/1.1 302 Found\r\nLocation: http://example.com/\r\nContent-Length: 0\r\n\r\n", "", "302 Found"},
	} {
		t.Run(name, func(t *testing.T) {
			c := answering(t, tc.answer)
			var got bytes.Buffer
			_, err := c.Backup(t.Context(), &got)
			switch {
			case tc.wrong == "" && err != nil:
				t.Error(err)
			case tc.wrong != "" && (err == nil || !strings.Contains(err.Error(), tc.wrong)):
				t.Errorf("%v; want an error that says %q", err, tc.wrong)
			case got.String() != tc.want:
				t.Errorf("the body was read as %q", got.String())
			}
		})
	}
}

// Go's own server is the judge of what we ask.
func TestARequestIsReadByOthersAsItWasMeant(t *testing.T) {
	type asked struct {
		line, lang, auth, kind, name, body string
		chunked                            bool
	}
	heard := make(chan asked, 1)
	long := strings.Repeat("0123456789", 100_000)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			t.Error(err)
		}
		heard <- asked{r.Method + " " + r.Host + " " + r.URL.RequestURI(), r.Header.Get("Accept-Language"), r.Header.Get("Authorization"),
			r.Header.Get("Content-Type"), r.Header.Get("Idempotency-Key"), string(body), len(r.TransferEncoding) > 0}
		io.WriteString(w, `{"id":"`)
		w.(http.Flusher).Flush() // from here on in chunks
		io.WriteString(w, long+`"}`)
	}))
	defer server.Close()
	c, err := New(Config{URL: server.URL + "/box/", Key: "tp_x", Lang: "sv"})
	if err != nil {
		t.Fatal(err)
	}
	host := strings.TrimPrefix(server.URL, "http://")
	m, err := c.SendAs(t.Context(), "name-1", wire.Send{To: "0612345678", Text: "a\r\nb"})
	if err != nil {
		t.Fatal(err)
	}
	if m.ID != long {
		t.Errorf("an answer in chunks was read as %d bytes", len(m.ID))
	}
	want := asked{"POST " + host + " /box/api/v1/messages", "sv", "Bearer tp_x", "application/json", "name-1", `{"to":"0612345678","text":"a\r\nb"}`, false}
	if got := <-heard; got != want {
		t.Errorf("it was heard as\n%+v, meant was\n%+v", got, want)
	}
	if _, err := c.Message(t.Context(), "../keys?x=1"); err != nil {
		t.Fatal(err)
	}
	if got := <-heard; got.line != "GET "+host+" /box/api/v1/messages/..%2Fkeys%3Fx=1" {
		t.Errorf("it was heard as %q", got.line)
	}
}

func TestNothingThatIsGivenBeginsALineOfItsOwn(t *testing.T) {
	c, err := New(Config{URL: "http://127.0.0.1:1", Key: "tp_x\r\nHost: elsewhere"})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := c.Status(t.Context()); err == nil || !strings.Contains(err.Error(), "control character") {
		t.Errorf("%v", err)
	}
}

// A box may refuse a long list before it has read all of it.
func TestARefusalInTheMiddleOfAListIsHeard(t *testing.T) {
	const problem = `{"status":413,"code":"too_large","detail":"divide it"}`
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/problem+json")
		w.Header().Set("Retry-After", "7")
		w.WriteHeader(http.StatusRequestEntityTooLarge)
		io.WriteString(w, problem)
	}))
	defer server.Close()
	c, err := New(Config{URL: server.URL})
	if err != nil {
		t.Fatal(err)
	}
	err = c.Upload(t.Context(), "/batches", nil, make([]byte, 200<<10), nil)
	p, ok := errors.AsType[*wire.Problem](err)
	if !ok || p.Code != "too_large" || p.RetryAfter != 7*time.Second {
		t.Errorf("%v", err)
	}
}

// Whoever waits for an answer that does not come, or not on, can be called off.
func TestACallEndsWithItsContext(t *testing.T) {
	said := make(chan struct{})
	release := make(chan struct{})
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == Prefix+"/backup" {
			io.WriteString(w, "begins")
			w.(http.Flusher).Flush()
		}
		close(said)
		<-release
	}))
	defer server.Close()
	defer close(release)
	for _, what := range []string{"head", "body"} {
		said = make(chan struct{})
		c, err := New(Config{URL: server.URL})
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		go func() {
			<-said
			cancel()
		}()
		if what == "head" {
			_, err = c.Status(ctx)
		} else {
			_, err = c.Backup(ctx, io.Discard)
		}
		if err == nil || ctx.Err() == nil {
			t.Errorf("%s: %v", what, err)
		}
		cancel()
	}
	c, err := New(Config{URL: server.URL, Timeout: time.Millisecond})
	if err != nil {
		t.Fatal(err)
	}
	said = make(chan struct{})
	if _, err := c.Routes(t.Context()); !errors.Is(err, ErrNoBox) {
		t.Errorf("after its time it says %v", err)
	}
}
