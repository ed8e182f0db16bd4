package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"tillpost/modem/sim"
	"tillpost/webui/api/wire"
)

// The harness runs the real binaries as a shop does and looks at them from
// outside: HTTP, the operator's command, and the radio cell's own list.

// patience is how long anything may take before a test gives up on it; a slow
// machine needs it, a quick one never waits so long.
const patience = 60 * time.Second

var workshop struct {
	sync.Mutex
	dir   string
	built map[string]string // overlay → folder of binaries
}

func TestMain(m *testing.M) {
	if spec := os.Getenv(tabsEnv); spec != "" { // we are the tabs of BenchmarkTabs
		if err := keepTabs(spec); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	code := m.Run()
	if workshop.dir != "" {
		if err := os.RemoveAll(workshop.dir); err != nil {
			fmt.Fprintln(os.Stderr, err)
		}
	}
	os.Exit(code)
}

// build makes the binaries once for all tests and returns their folder.
// overlay is the path of a go build -overlay file, or "" for the real ones.
func build(t testing.TB, overlay string) string {
	t.Helper()
	workshop.Lock()
	defer workshop.Unlock()
	if dir, ok := workshop.built[overlay]; ok {
		return dir
	}
	if workshop.dir == "" {
		dir, err := os.MkdirTemp("", "tillpost-bin-")
		if err != nil {
			t.Fatal(err)
		}
		workshop.dir, workshop.built = dir, make(map[string]string)
	}
	dir, err := os.MkdirTemp(workshop.dir, "")
	if err != nil {
		t.Fatal(err)
	}
	args := []string{"build", "-o", dir + "/"}
	if overlay != "" {
		args = append(args, "-overlay", overlay)
	}
	cmd := exec.Command("go", append(args, "tillpost/cmd/...")...)
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0") // as they are shipped
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("go build: %v\n%s", err, out)
	}
	workshop.built[overlay] = dir
	return dir
}

// radio is a modemsim process: modems on pseudo-terminals and their cell,
// which outlives every daemon that talks to them.
type radio struct {
	port string // link to the first modem's terminal
	log  string // what the cell saw
}

func startRadio(t testing.TB, bin string, flags ...string) *radio {
	t.Helper()
	return startRadioAt(t, bin, filepath.Join(t.TempDir(), "modem"), flags...)
}

// startRadioAt plugs the modem into a port that a box may know already.
func startRadioAt(t testing.TB, bin, port string, flags ...string) *radio {
	t.Helper()
	r := &radio{port: port, log: filepath.Join(t.TempDir(), "cell.json")}
	launch(t, exec.Command(filepath.Join(bin, "modemsim"), append([]string{"-link", r.port, "-log", r.log}, flags...)...), "\n")
	return r
}

// launch starts a program that ends with the test at the latest, and returns
// what it says up to a word. A simulator's first line says that it is there.
func launch(t testing.TB, cmd *exec.Cmd, word string) string {
	t.Helper()
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if cmd.ProcessState == nil {
			stop(t, cmd, os.Interrupt)
		}
	})
	return until(t, out, word)
}

// until reads what a program says up to a word.
func until(t testing.TB, out io.Reader, word string) string {
	t.Helper()
	said := make(chan string, 1)
	go func() { // ends with the program
		var all strings.Builder
		buf := bufio.NewReader(out)
		for !strings.Contains(all.String(), word) {
			line, err := buf.ReadString('\n')
			all.WriteString(line)
			if err != nil {
				break
			}
		}
		said <- all.String()
	}()
	select {
	case s := <-said:
		if !strings.Contains(s, word) {
			t.Fatalf("it ended without %q; it said:\n%s", word, s)
		}
		return s
	case <-time.After(patience):
		t.Fatalf("it did not say %q within %v", word, patience)
		return ""
	}
}

// seen returns the cell's list as it is now.
func (r *radio) seen(t testing.TB) []sim.Entry {
	t.Helper()
	data, err := os.ReadFile(r.log)
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		t.Fatal(err)
	}
	var list []sim.Entry
	for line := range bytes.Lines(data) {
		var e sim.Entry
		if err := json.Unmarshal(line, &e); err != nil {
			t.Fatalf("the cell's list: %v in %s", err, line)
		}
		list = append(list, e)
	}
	return list
}

// submits counts what the network accepted, by text.
func (r *radio) submits(t testing.TB) map[string]int {
	t.Helper()
	n := make(map[string]int)
	for _, e := range r.seen(t) {
		if e.Kind == "submit" {
			n[e.Text]++
		}
	}
	return n
}

// box is one installation: a folder with its file and data, and the daemon
// that runs on it at the moment.
type box struct {
	t    testing.TB
	bin  string
	dir  string
	boot string // path of the boot file
	key  string

	mu     sync.Mutex
	cmd    *exec.Cmd
	base   string // http://127.0.0.1:PORT of the daemon that runs
	log    *logbook
	notify *net.UnixConn
}

// newBox lays out an installation with a boot file; the daemon is not started.
// The file gets a data folder and a listener beside what toml says.
func newBox(t testing.TB, bin, toml string) *box {
	t.Helper()
	dir := t.TempDir()
	b := &box{t: t, bin: bin, dir: dir, boot: filepath.Join(dir, "tillpost.toml"), log: &logbook{}}
	b.configure(toml)
	path := filepath.Join(dir, "notify")
	conn, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: path, Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	b.notify = conn
	t.Cleanup(func() {
		b.kill()
		conn.Close()
		if t.Failed() {
			t.Logf("the daemon's log:\n%s", b.log.tail(100))
		}
	})
	return b
}

func (b *box) configure(toml string) { b.write("127.0.0.1:0", toml) }

// configureListen writes a file with nothing but an address.
func (b *box) configureListen(addr string) { b.write(addr, "") }

func (b *box) write(addr, toml string) {
	b.t.Helper()
	head := fmt.Sprintf("data_dir = %q\nlisten = [%q]\n", filepath.Join(b.dir, "data"), addr)
	if err := os.WriteFile(b.boot, []byte(head+toml), 0o600); err != nil {
		b.t.Fatal(err)
	}
}

func (b *box) socket() string { return filepath.Join(b.dir, "data", "tillpost.sock") }

// modemTable is a [[modem]] for the boot file.
func modemTable(name, port string) string {
	return fmt.Sprintf("\n[[modem]]\nname = %q\nport = %q\nsend_timeout = \"10s\"\n", name, port)
}

var listening = regexp.MustCompile(`msg="?listening"?.* addr=(127\.0\.0\.1:[0-9]+)`)

// start runs the daemon and returns when it has said READY=1.
func (b *box) start(flags ...string) {
	b.t.Helper()
	// Without the folder it sees no USB: a modem on a developer's desk must not
	// send what a test makes up.
	cmd := exec.Command(filepath.Join(b.bin, "tillpostd"), append([]string{"-config", b.boot, "-log", "debug", "-sysfs", filepath.Join(b.dir, "nothing")}, flags...)...)
	cmd.Stdout, cmd.Stderr = b.log, b.log
	cmd.Env = append(os.Environ(), "NOTIFY_SOCKET="+b.notify.LocalAddr().String())
	from := b.log.len()
	if err := cmd.Start(); err != nil {
		b.t.Fatal(err)
	}
	b.mu.Lock()
	b.cmd = cmd
	b.mu.Unlock()
	b.await("READY=1")
	eventually(b.t, "the daemon says where it listens", func() (bool, string) {
		found := listening.FindStringSubmatch(b.log.since(from))
		if found == nil {
			return false, b.log.tail(50)
		}
		b.mu.Lock()
		b.base = "http://" + found[1]
		b.mu.Unlock()
		return true, ""
	})
}

// await reads notices until one holds want.
func (b *box) await(want string) {
	b.t.Helper()
	buf := make([]byte, 4096)
	deadline := time.Now().Add(patience)
	for {
		if err := b.notify.SetReadDeadline(deadline); err != nil {
			b.t.Fatal(err)
		}
		n, err := b.notify.Read(buf)
		if err != nil {
			b.t.Fatalf("the daemon never said %s: %v\n%s", want, err, b.log.tail(50))
		}
		if strings.Contains(string(buf[:n]), want) {
			return
		}
	}
}

// kill is the power cut for one process: SIGKILL.
func (b *box) kill() { b.end(syscall.SIGKILL) }

// stop asks the daemon to stop and expects it to end well.
func (b *box) stop() {
	b.t.Helper()
	if err := b.end(syscall.SIGTERM); err != nil {
		b.t.Errorf("the daemon did not stop well: %v\n%s", err, b.log.tail(30))
	}
}

func (b *box) end(sig os.Signal) error {
	b.mu.Lock()
	cmd := b.cmd
	b.cmd, b.base = nil, ""
	b.mu.Unlock()
	if cmd == nil {
		return nil
	}
	if err := cmd.Process.Signal(sig); err != nil {
		return err
	}
	err := cmd.Wait()
	// What a dead daemon said must not be taken for the next one's word.
	buf := make([]byte, 4096)
	for {
		if b.notify.SetReadDeadline(time.Now().Add(time.Millisecond)) != nil {
			return err
		}
		if _, rerr := b.notify.Read(buf); rerr != nil {
			return err
		}
	}
}

func (b *box) url() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.base
}

// tillpost runs the operator's command on this box.
func (b *box) tillpost(args ...string) (stdout, stderr string, code int) {
	b.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	cmd := exec.CommandContext(ctx, filepath.Join(b.bin, "tillpost"), append([]string{"-socket", b.socket()}, args...)...)
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	err := cmd.Run()
	if exit, ok := errors.AsType[*exec.ExitError](err); ok {
		return out.String(), errs.String(), exit.ExitCode()
	}
	if err != nil {
		b.t.Fatalf("tillpost %q: %v", args, err)
	}
	return out.String(), errs.String(), 0
}

// must runs the operator's command and wants it to succeed.
func (b *box) must(args ...string) string {
	b.t.Helper()
	out, errs, code := b.tillpost(args...)
	if code != 0 {
		b.t.Fatalf("tillpost %q: exit %d\n%s%s", args, code, out, errs)
	}
	return out
}

// makeKey gives the box's till a key.
func (b *box) makeKey(scopes string) {
	b.t.Helper()
	var k wire.Key
	if err := json.Unmarshal([]byte(b.must("-json", "key", "add", "till", "-scope", scopes)), &k); err != nil {
		b.t.Fatal(err)
	}
	b.key = k.Key
}

var tillClient = &http.Client{Timeout: 20 * time.Second}

// call is one request of a till. The error is that of the way, not a refusal.
func (b *box) call(method, path string, body, answer any, header ...string) (status int, err error) {
	var in io.Reader
	if body != nil {
		data, err := json.Marshal(body)
		if err != nil {
			return 0, err
		}
		in = bytes.NewReader(data)
	}
	req, err := http.NewRequest(method, b.url()+path, in)
	if err != nil {
		return 0, err
	}
	req.Header.Set("Authorization", "Bearer "+b.key)
	if body != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	for i := 0; i+1 < len(header); i += 2 {
		req.Header.Set(header[i], header[i+1])
	}
	resp, err := tillClient.Do(req)
	if err != nil {
		return 0, err
	}
	defer resp.Body.Close()
	data, err := io.ReadAll(resp.Body)
	if err != nil {
		return 0, err
	}
	if answer != nil {
		if err := json.Unmarshal(data, answer); err != nil {
			return resp.StatusCode, fmt.Errorf("%s %s answered %d: %w in %s", method, path, resp.StatusCode, err, data)
		}
	}
	return resp.StatusCode, nil
}

// message reads one message.
func (b *box) message(id string) (m wire.Message) {
	b.t.Helper()
	status, err := b.call("GET", "/api/v1/messages/"+id, nil, &m)
	if err != nil || status != http.StatusOK {
		b.t.Fatalf("GET message %s: %d %v", id, status, err)
	}
	return m
}

// eventually asks until ok, which says what is still missing otherwise.
func eventually(t testing.TB, what string, ok func() (bool, string)) {
	t.Helper()
	deadline := time.Now().Add(patience)
	for {
		good, state := ok()
		if good {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("%s: not within %v; last seen: %s", what, patience, state)
		}
		<-time.After(20 * time.Millisecond)
	}
}

// becomes waits until a message is in a state.
func (b *box) becomes(id, state string) wire.Message {
	b.t.Helper()
	var m wire.Message
	eventually(b.t, "message "+id+" becomes "+state, func() (bool, string) {
		m = b.message(id)
		return string(m.State) == state, fmt.Sprintf("%s (%s)", m.State, m.Reason)
	})
	return m
}

// stop ends a process that a test started.
func stop(t testing.TB, cmd *exec.Cmd, sig os.Signal) {
	t.Helper()
	if err := cmd.Process.Signal(sig); err != nil {
		t.Errorf("%s: %v", cmd.Path, err)
		return
	}
	if err := cmd.Wait(); err != nil {
		t.Logf("%s ended: %v", filepath.Base(cmd.Path), err)
	}
}

// logbook collects what a daemon says.
type logbook struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (l *logbook) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.Write(p)
}

func (l *logbook) len() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.Len()
}

func (l *logbook) since(n int) string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return string(l.buf.Bytes()[n:])
}

func (l *logbook) tail(lines int) string {
	all := strings.Split(strings.TrimRight(l.since(0), "\n"), "\n")
	return strings.Join(all[max(0, len(all)-lines):], "\n")
}
