package webui

import (
	"bufio"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gorilla/websocket"
)

// A browser, driven over the DevTools protocol: Debian's Chromium, without a
// screen. Whatever it complains about is kept, so that a page with an error in
// its console, a request to another host or a breach of its own policy fails
// its test.

// chromium is one browser. Every window of it has cookies of its own.
type chromium struct {
	ws *websocket.Conn

	mu      sync.Mutex // ws for writing, and what follows
	last    int
	waiting map[int]chan answer
	windows map[string]*window // by session
	ended   chan struct{}      // the reader has gone
}

type answer struct {
	Result json.RawMessage `json:"result"`
	Error  *struct {
		Message string `json:"message"`
	} `json:"error"`
}

// patience with the browser: the machine may be busy.
const patience = 30 * time.Second

var devTools = regexp.MustCompile(`DevTools listening on (ws://\S+)`)

// startChromium starts the browser; it ends with the test.
func startChromium(t *testing.T) *chromium {
	t.Helper()
	path, err := exec.LookPath("chromium")
	if err != nil {
		t.Fatalf("a browser is missing: apt-get install chromium (%v)", err)
	}
	home, err := os.MkdirTemp("", "tillpost-chromium-") // not TempDir: its children write on for a moment
	if err != nil {
		t.Fatal(err)
	}
	args := []string{
		"--headless=new", "--remote-debugging-port=0", "--user-data-dir=" + home, "--no-first-run", "--no-default-browser-check",
		"--disable-gpu", "--disable-dev-shm-usage", "--disable-background-networking", "--disable-component-update", "--disable-sync",
		"--disable-extensions", "--mute-audio", "--hide-scrollbars", "--force-color-profile=srgb",
		"--host-resolver-rules=MAP * ~NOTFOUND , EXCLUDE 127.0.0.1", // nothing leaves the machine, whatever it would like
	}
	if os.Geteuid() == 0 {
		args = append(args, "--no-sandbox") // Chromium refuses a sandbox to root
	}
	cmd := exec.Command(path, append(args, "about:blank")...)
	cmd.Env = append(os.Environ(), "HOME="+home)
	stderr, err := cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	var drained sync.WaitGroup
	found := make(chan string, 1)
	drained.Go(func() {
		var said strings.Builder
		for lines := bufio.NewScanner(stderr); lines.Scan(); {
			if m := devTools.FindStringSubmatch(lines.Text()); m != nil {
				found <- m[1]
				break
			}
			said.WriteString(lines.Text() + "\n")
		}
		_, _ = io.Copy(io.Discard, stderr) // what it grumbles about the machine
		close(found)
	})
	c := &chromium{waiting: map[int]chan answer{}, windows: map[string]*window{}, ended: make(chan struct{})}
	t.Cleanup(func() {
		if c.ws != nil {
			_, _ = c.send("", "Browser.close", nil) // the connection may end before the answer
			c.ws.Close()
			<-c.ended
		}
		gone := time.AfterFunc(patience, func() { _ = cmd.Process.Kill() })
		drained.Wait()
		_ = cmd.Wait() // killed or closed: both are its end
		gone.Stop()
		if err := os.RemoveAll(home); err != nil {
			t.Logf("the browser's folder stays: %v", err)
		}
	})
	select {
	case at, ok := <-found:
		if !ok {
			t.Fatal("the browser ended before it was ready")
		}
		ctx, cancel := context.WithTimeout(t.Context(), patience)
		defer cancel()
		if c.ws, _, err = websocket.DefaultDialer.DialContext(ctx, at, nil); err != nil {
			c.ws = nil
			t.Fatal(err)
		}
	case <-time.After(patience):
		t.Fatal("the browser did not become ready")
	}
	go c.read()
	return c
}

// read hands answers to who waits for them, and events to their window.
func (c *chromium) read() {
	defer close(c.ended)
	for {
		var m struct {
			answer
			ID      int             `json:"id"`
			Method  string          `json:"method"`
			Params  json.RawMessage `json:"params"`
			Session string          `json:"sessionId"`
		}
		if err := c.ws.ReadJSON(&m); err != nil {
			return
		}
		c.mu.Lock()
		wait, w := c.waiting[m.ID], c.windows[m.Session]
		delete(c.waiting, m.ID)
		c.mu.Unlock()
		switch {
		case m.ID != 0 && wait != nil:
			wait <- m.answer
		case w != nil:
			w.hear(m.Method, m.Params)
		}
	}
}

var errNoAnswer = errors.New("the browser did not answer")

// send is one call of the protocol; session is empty for the browser itself.
func (c *chromium) send(session, method string, params map[string]any) (json.RawMessage, error) {
	wait := make(chan answer, 1)
	c.mu.Lock()
	c.last++
	call := map[string]any{"id": c.last, "method": method}
	if params != nil {
		call["params"] = params
	}
	if session != "" {
		call["sessionId"] = session
	}
	c.waiting[c.last] = wait
	err := c.ws.WriteJSON(call)
	c.mu.Unlock()
	if err != nil {
		return nil, err
	}
	select {
	case a := <-wait:
		if a.Error != nil {
			return nil, fmt.Errorf("%s: %s", method, a.Error.Message)
		}
		return a.Result, nil
	case <-c.ended:
		return nil, errNoAnswer
	case <-time.After(patience):
		return nil, fmt.Errorf("%s: %w", method, errNoAnswer)
	}
}

// view is how a window is held.
type view struct {
	width, height int
	dark          bool
	phone         bool
	noScript      bool
}

var (
	desk  = view{width: 1280, height: 900}
	phone = view{width: 390, height: 844, dark: true, phone: true}
)

// window is one page of the browser.
type window struct {
	t       *testing.T
	c       *chromium
	session string
	context string
	base    string // of the shop

	mu         sync.Mutex
	complaints []string
	forgiven   *regexp.Regexp
}

// open opens a window on a shop.
func (c *chromium) open(t *testing.T, base string, v view) *window {
	t.Helper()
	w := &window{t: t, c: c, base: base}
	var made struct {
		BrowserContextID, TargetID, SessionID string
	}
	call := func(method string, params map[string]any) {
		t.Helper()
		raw, err := c.send("", method, params)
		if err == nil {
			err = json.Unmarshal(raw, &made)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	call("Target.createBrowserContext", map[string]any{"disposeOnDetach": true})
	w.context = made.BrowserContextID
	call("Target.createTarget", map[string]any{"url": "about:blank", "browserContextId": w.context})
	call("Target.attachToTarget", map[string]any{"targetId": made.TargetID, "flatten": true})
	w.session = made.SessionID
	c.mu.Lock()
	c.windows[w.session] = w
	c.mu.Unlock()
	t.Cleanup(func() {
		if _, err := c.send("", "Target.disposeBrowserContext", map[string]any{"browserContextId": w.context}); err != nil {
			t.Error(err)
		}
		c.mu.Lock()
		delete(c.windows, w.session)
		c.mu.Unlock()
		for _, said := range w.said() {
			t.Errorf("the browser complains: %s", said)
		}
	})
	scheme := "light"
	if v.dark {
		scheme = "dark"
	}
	for _, on := range []struct {
		method string
		params map[string]any
	}{
		{"Page.enable", nil}, {"Runtime.enable", nil}, {"Log.enable", nil}, {"Network.enable", nil},
		{"Emulation.setDeviceMetricsOverride", map[string]any{"width": v.width, "height": v.height, "deviceScaleFactor": 1, "mobile": v.phone}},
		{"Emulation.setEmulatedMedia", map[string]any{"features": []map[string]string{{"name": "prefers-color-scheme", "value": scheme}}}},
		{"Emulation.setScriptExecutionDisabled", map[string]any{"value": v.noScript}},
	} {
		w.do(on.method, on.params)
	}
	return w
}

// hear keeps what the browser complains about.
func (w *window) hear(method string, params json.RawMessage) {
	var said struct {
		Type    string `json:"type"`
		Args    []struct{ Value, Description any }
		Details struct {
			Text      string `json:"text"`
			Exception struct{ Description string }
		} `json:"exceptionDetails"`
		Entry struct{ Source, Level, Text, URL string }
		// Network.requestWillBeSent
		Request struct{ URL string }
	}
	if err := json.Unmarshal(params, &said); err != nil {
		w.complain("an event cannot be read: " + err.Error())
		return
	}
	switch method {
	case "Runtime.consoleAPICalled":
		if said.Type == "error" || said.Type == "warning" || said.Type == "assert" {
			w.complain(fmt.Sprintf("console.%s: %v", said.Type, said.Args))
		}
	case "Runtime.exceptionThrown":
		w.complain(said.Details.Text + " " + said.Details.Exception.Description)
	case "Log.entryAdded": // breaches of the policy and failed requests come this way
		if said.Entry.Level == "error" || said.Entry.Level == "warning" {
			w.complain(said.Entry.Source + ": " + said.Entry.Text + " at " + said.Entry.URL)
		}
	case "Network.requestWillBeSent":
		if u, err := url.Parse(said.Request.URL); err != nil || u.Host != "" && !strings.HasSuffix(w.base, "://"+u.Host) {
			w.complain("a request to another host: " + said.Request.URL)
		}
	}
}

func (w *window) complain(said string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.forgiven == nil || !w.forgiven.MatchString(said) {
		w.complaints = append(w.complaints, said)
	}
}

func (w *window) said() []string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.complaints
}

// forgive lets the browser complain about what the test itself brings about.
func (w *window) forgive(pattern string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.forgiven = regexp.MustCompile(pattern)
}

func (w *window) do(method string, params map[string]any) json.RawMessage {
	w.t.Helper()
	raw, err := w.c.send(w.session, method, params)
	if err != nil {
		w.t.Fatal(err)
	}
	return raw
}

// eval runs a piece of script in the page, beside its policy, and returns what
// it comes to.
func (w *window) eval(script string) (any, error) {
	raw, err := w.c.send(w.session, "Runtime.evaluate", map[string]any{"expression": script, "returnByValue": true, "awaitPromise": true})
	if err != nil {
		return nil, err
	}
	var out struct {
		Result  struct{ Value any }
		Details *struct {
			Text      string
			Exception struct{ Description string }
		} `json:"exceptionDetails"`
	}
	if err := json.Unmarshal(raw, &out); err != nil {
		return nil, err
	}
	if out.Details != nil {
		return nil, fmt.Errorf("%s %s", out.Details.Text, out.Details.Exception.Description)
	}
	return out.Result.Value, nil
}

// until waits until a condition in script holds, through reloads.
func (w *window) until(cond string) {
	w.t.Helper()
	deadline := time.Now().Add(patience)
	for {
		v, err := w.eval("!!(" + cond + ")")
		if v == true {
			return
		}
		if time.Now().After(deadline) {
			text, _ := w.eval("location.href + '\\n' + document.body.innerText")
			w.t.Fatalf("it did not come to pass: %s (%v)\n%v", cond, err, text)
		}
		time.Sleep(20 * time.Millisecond)
	}
}

// shows waits until the page shows a text.
func (w *window) shows(text string) {
	w.t.Helper()
	quoted, err := json.Marshal(text)
	if err != nil {
		w.t.Fatal(err)
	}
	w.until("document.body && document.body.innerText.includes(" + string(quoted) + ")")
}

// visit loads a page and waits until it is there.
func (w *window) visit(path string) {
	w.t.Helper()
	var out struct{ ErrorText string }
	if err := json.Unmarshal(w.do("Page.navigate", map[string]any{"url": w.base + path}), &out); err != nil || out.ErrorText != "" {
		w.t.Fatalf("%s: %s %v", path, out.ErrorText, err)
	}
	w.loaded()
}

func (w *window) loaded() {
	w.t.Helper()
	w.until(`location.href !== "about:blank" && document.readyState === "complete"`)
}

// fill writes into a field as a person does, so that the page notices.
func (w *window) fill(selector, text string) {
	w.t.Helper()
	w.until(fmt.Sprintf("document.querySelector(%q)", selector))
	if _, err := w.eval(fmt.Sprintf("(() => { const e = document.querySelector(%q); e.focus(); e.select && e.select(); })()", selector)); err != nil {
		w.t.Fatal(err)
	}
	w.do("Input.insertText", map[string]any{"text": text})
}

// click presses something that is in sight.
func (w *window) click(selector string) {
	w.t.Helper()
	w.until(fmt.Sprintf("document.querySelector(%q) && !document.querySelector(%q).disabled", selector, selector))
	raw, err := w.eval(fmt.Sprintf(`(() => {
		const e = document.querySelector(%q); e.scrollIntoView({ block: "center" });
		const r = e.getBoundingClientRect(); return [r.x + r.width / 2, r.y + r.height / 2];
	})()`, selector))
	if err != nil {
		w.t.Fatal(err)
	}
	at, ok := raw.([]any)
	if !ok || len(at) != 2 {
		w.t.Fatalf("%s has no place: %v", selector, raw)
	}
	for _, kind := range []string{"mousePressed", "mouseReleased"} {
		w.do("Input.dispatchMouseEvent", map[string]any{"type": kind, "x": at[0], "y": at[1], "button": "left", "clickCount": 1})
	}
}

// key presses one key.
func (w *window) key(name string, code int) {
	w.t.Helper()
	for _, kind := range []string{"keyDown", "keyUp"} {
		press := map[string]any{"type": kind, "key": name, "code": name, "windowsVirtualKeyCode": code}
		if name == "Enter" && kind == "keyDown" {
			press["text"] = "\r"
		}
		w.do("Input.dispatchKeyEvent", press)
	}
}

// artefacts is the folder where pictures are kept: empty, nowhere.
func artefacts() string { return os.Getenv("ARTEFACTS") }

// picture keeps how the whole page looks, and fails if it is wider than the
// window: nobody scrolls sideways on a telephone.
func (w *window) picture(name string) {
	w.t.Helper()
	v, err := w.eval("[document.documentElement.scrollWidth, innerWidth, Math.min(document.documentElement.scrollHeight, 6000)]")
	if err != nil {
		w.t.Fatal(err)
	}
	size, ok := v.([]any)
	if !ok || len(size) != 3 {
		w.t.Fatalf("the page has no size: %v", v)
	}
	if size[0].(float64) > size[1].(float64) {
		w.t.Errorf("%s is %v wide in a window of %v", name, size[0], size[1])
	}
	if artefacts() == "" {
		return
	}
	raw := w.do("Page.captureScreenshot", map[string]any{
		"format": "png", "captureBeyondViewport": true,
		"clip": map[string]any{"x": 0, "y": 0, "width": size[1], "height": size[2], "scale": 1},
	})
	var shot struct{ Data string }
	if err := json.Unmarshal(raw, &shot); err != nil {
		w.t.Fatal(err)
	}
	png, err := base64.StdEncoding.DecodeString(shot.Data)
	if err != nil {
		w.t.Fatal(err)
	}
	dir := filepath.Join(artefacts(), "pages")
	if err := os.MkdirAll(dir, 0o755); err != nil {
		w.t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, name+".png"), png, 0o644); err != nil {
		w.t.Fatal(err)
	}
}

// login opens the page of a shop that has a password.
func (w *window) login(name string) {
	w.t.Helper()
	w.visit("/login")
	if name != "" {
		w.fill("#name", name)
	}
	w.fill("#pw", password)
	w.key("Enter", 13)
	w.until(`location.pathname !== "/login" && document.readyState === "complete"`)
}
