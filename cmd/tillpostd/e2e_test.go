package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"tillpost/webui/api/wire"
)

func hello(to, text string) wire.Send { return wire.Send{To: to, Text: text} }

// post hands one message in and wants it accepted.
func (b *box) post(m wire.Send) wire.Message {
	b.t.Helper()
	var got wire.Message
	status, err := b.call("POST", "/api/v1/messages", m, &got)
	if err != nil || status != http.StatusAccepted {
		b.t.Fatalf("POST: %d %v", status, err)
	}
	return got
}

// refusal hands one message in and wants it refused.
func (b *box) refusal(m wire.Send, status int) wire.Problem {
	b.t.Helper()
	var p wire.Problem
	got, err := b.call("POST", "/api/v1/messages", m, &p)
	if err != nil || got != status {
		b.t.Fatalf("POST: %d %v, want %d", got, err, status)
	}
	return p
}

func TestMessageFromTillToPhone(t *testing.T) {
	bin := build(t, "")
	radio := startRadio(t, bin)
	b := newBox(t, bin, modemTable("counter", radio.port))
	b.start()
	b.makeKey("send,read")

	long := strings.Repeat("Your table is ready, please come to the bar. ", 6)
	one, three := b.post(hello("06-12345678", "Your order is ready.")), b.post(hello("+31687654321", long))
	b.becomes(one.ID, "delivered")
	if m := b.becomes(three.ID, "delivered"); len(m.Parts) != 2 || m.Route != "counter" {
		t.Errorf("the long one went as %d parts by %q", len(m.Parts), m.Route)
	}
	if n := radio.submits(t)["Your order is ready."]; n != 1 {
		t.Errorf("the radio cell saw it %d times", n)
	}
	out := b.must("show", one.ID)
	for _, want := range []string{"delivered", "+31612345678", "Your order is ready.", "accepted", "taken", "sent", "report"} {
		if !strings.Contains(out, want) {
			t.Errorf("tillpost show lacks %q:\n%s", want, out)
		}
	}
	page, err := http.Get(b.url() + "/")
	if err != nil {
		t.Fatal(err)
	}
	page.Body.Close()
	if page.StatusCode != http.StatusOK {
		t.Errorf("the page answers %d", page.StatusCode)
	}
	b.must("check")
	b.stop()
	b.must("check", "-data", filepath.Join(b.dir, "data")) // the same, without a daemon
}

func TestMessageOverSMPP(t *testing.T) {
	bin := build(t, "")
	said := launch(t, exec.Command(filepath.Join(bin, "smscsim"), "-listen", "127.0.0.1:0", "-system-id", "shop", "-password", "pw", "-receipt-after", "10ms"), "\n")
	addr := regexp.MustCompile(`127\.0\.0\.1:[0-9]+`).FindString(said)
	b := newBox(t, bin, fmt.Sprintf("[[smpp]]\nname = \"operator\"\naddr = %q\nsystem_id = \"shop\"\npassword_file = \"pw\"\nsource = \"SHOP\"\n", addr))
	if err := os.WriteFile(filepath.Join(b.dir, "pw"), []byte("pw\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	b.start()
	b.makeKey("send")
	b.becomes(b.post(hello("+31612345678", "By wire.")).ID, "delivered")
}

// A box in a shop is switched on before the modem is plugged in.
func TestModemThatIsMissingAtFirst(t *testing.T) {
	bin := build(t, "")
	port := filepath.Join(t.TempDir(), "modem")
	b := newBox(t, bin, modemTable("counter", port))
	b.start()
	b.makeKey("send,read")

	id := b.post(hello("+31612345678", "I can wait.")).ID
	m := b.message(id)
	if m.State != "queued" || m.Reason == "" {
		t.Errorf("without a modem it is %s: %q", m.State, m.Reason)
	}
	eventually(t, "the box says that the modem is missing", func() (bool, string) {
		out := b.must("modem", "counter", "status")
		return strings.Contains(out, port) && strings.Contains(out, "plug the modem in"), out
	})
	var health wire.Health
	if status, err := b.call("GET", "/healthz", nil, &health); err != nil || health.Status == "ok" {
		t.Errorf("healthz says %d %+v %v", status, health, err)
	}

	startRadioAt(t, bin, port)
	b.becomes(id, "delivered")
}

func TestSerialPortHeldByAnotherProgram(t *testing.T) {
	bin := build(t, "")
	radio := startRadio(t, bin)
	other, err := os.OpenFile(radio.port, os.O_RDWR|syscall.O_NOCTTY, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer other.Close()
	if err := unix.Flock(int(other.Fd()), unix.LOCK_EX); err != nil {
		t.Fatal(err)
	}
	b := newBox(t, bin, modemTable("counter", radio.port))
	b.start()
	b.makeKey("send,read")
	id := b.post(hello("+31612345678", "After you.")).ID
	eventually(t, "the box names who holds the port", func() (bool, string) {
		out := b.must("modem", "counter", "status")
		return strings.Contains(out, "is held by") && strings.Contains(out, "choose another port"), out
	})
	if err := unix.Flock(int(other.Fd()), unix.LOCK_UN); err != nil {
		t.Fatal(err)
	}
	b.becomes(id, "delivered")
}

func TestAddressHeldByAnotherProgram(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	b := newBox(t, build(t, ""), "")
	b.configureListen(l.Addr().String())
	code, errs := b.fails()
	if code != failed || !strings.Contains(errs, "listen: "+l.Addr().String()+" is held by another program") {
		t.Errorf("exit %d: %s", code, errs)
	}
}

func TestSecondDaemonOnTheSameData(t *testing.T) {
	b := newBox(t, build(t, ""), "")
	b.start()
	code, errs := b.fails()
	if code != failed || !strings.Contains(errs, filepath.Join(b.dir, "data", storeFile)) {
		t.Errorf("exit %d: %s", code, errs)
	}
	b.must("status") // the first one is none the worse
}

func TestBootFileWithProblems(t *testing.T) {
	bin := build(t, "")
	b := newBox(t, bin, "contry = \"NL\"\n[[modem]]\nname = \"a b\"\nport = \"ttyUSB0\"\n")
	for _, args := range [][]string{{"-config", b.boot}, {"-check", "-config", b.boot}} {
		out, err := exec.CommandContext(t.Context(), filepath.Join(bin, "tillpostd"), args...).CombinedOutput()
		exit, _ := errors.AsType[*exec.ExitError](err)
		if exit == nil || exit.ExitCode() != misuse {
			t.Errorf("%q: %v", args, err)
		}
		for _, want := range []string{
			b.boot + ":3: contry: this key is not known; did you mean \"country\"?",
			b.boot + ":5: modem.name: ",
			b.boot + ":6: modem.port: \"ttyUSB0\" is not a full path",
		} {
			if !strings.Contains(string(out), want) {
				t.Errorf("%q lacks %q:\n%s", args, want, out)
			}
		}
	}
	b.configure("country = \"SE\"\n")
	out, err := exec.CommandContext(t.Context(), filepath.Join(bin, "tillpostd"), "-check", "-config", b.boot).CombinedOutput()
	if err != nil {
		t.Errorf("a good file: %v\n%s", err, out)
	}
	if err := exec.CommandContext(t.Context(), filepath.Join(bin, "tillpostd"), "-check", "-config", b.boot+"x").Run(); err == nil {
		t.Error("a file that is not there passes -check")
	}
}

// What was accepted goes out although the disk has become too full to accept
// more, and the till is told so in words.
func TestFullDiskRefusesAndStillSends(t *testing.T) {
	bin := build(t, "")
	port := filepath.Join(t.TempDir(), "modem")
	b := newBox(t, bin, modemTable("counter", port))
	b.start()
	b.makeKey("send,read")
	id := b.post(hello("+31612345678", "Before the disk was full.")).ID
	b.stop()

	b.configure(modemTable("counter", port) + "[limits]\nmin_free = \"999999 GB\"\n")
	b.start()
	startRadioAt(t, bin, port)
	if p := b.refusal(hello("+31612345678", "Too late."), http.StatusInsufficientStorage); p.Detail == "" {
		t.Errorf("507 without a word: %+v", p)
	}
	b.becomes(id, "delivered")
}

func TestFullQueueRefuses(t *testing.T) {
	b := newBox(t, build(t, ""), "[limits]\nqueue_max = 1\n")
	b.start()
	b.makeKey("send")
	id := b.post(hello("+31612345678", "The one that fits.")).ID
	if p := b.refusal(hello("+31612345678", "One too many."), http.StatusTooManyRequests); p.Detail == "" {
		t.Errorf("429 without a word: %+v", p)
	}
	b.must("cancel", id)
	b.post(hello("+31612345678", "Now there is room."))
}

// A stop in the middle of a message waits for its answer: nothing becomes
// unknown by switching the box off politely.
func TestStopWaitsForTheMessageInHand(t *testing.T) {
	bin := build(t, "")
	radio := startRadio(t, bin, "-latency", "1500ms")
	b := newBox(t, bin, modemTable("counter", radio.port))
	b.start()
	b.makeKey("send,read")
	id := b.post(hello("+31612345678", "In the air.")).ID
	b.becomes(id, "sending")
	// In the middle means: the modem has it and owes the answer.
	eventually(t, "the cell has it", func() (bool, string) { return radio.submits(t)["In the air."] == 1, "" })
	b.stop()
	b.start()
	if m := b.message(id); m.State != "sent" && m.State != "delivered" {
		t.Errorf("after the restart it is %s: %s", m.State, m.Reason)
	}
}

func TestSecondSignalAborts(t *testing.T) {
	bin := build(t, "")
	radio := startRadio(t, bin, "-magic")
	b := newBox(t, bin, modemTable("counter", radio.port))
	b.start()
	b.makeKey("send,read")
	b.becomes(b.post(hello("+31612340003", "No answer ever.")).ID, "sending")
	b.mu.Lock()
	cmd := b.cmd
	b.mu.Unlock()
	if err := cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	b.await("STOPPING=1")
	began := time.Now()
	if err := b.end(syscall.SIGTERM); err == nil || !strings.Contains(b.log.tail(5), "aborted by a second signal") {
		t.Errorf("after the second signal: %v in %v", err, time.Since(began))
	}
	b.start() // and the store is whole
	b.must("check")
}

func TestSystemdHearsTheDaemon(t *testing.T) {
	b := newBox(t, build(t, ""), "")
	t.Setenv("WATCHDOG_USEC", "300000")
	t.Setenv("WATCHDOG_PID", "")
	b.start() // READY=1
	b.await("STATUS=0 of 0 routes ready")
	b.await("WATCHDOG=1")
	b.await("WATCHDOG=1")
	b.mu.Lock()
	cmd := b.cmd
	b.mu.Unlock()
	if err := cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	b.await("STOPPING=1")
	b.end(syscall.SIGTERM)
}

// The unit's folder below /run is where the group finds the socket.
func TestSocketInTheUnitsFolder(t *testing.T) {
	b := newBox(t, build(t, ""), "")
	dir := t.TempDir()
	t.Setenv("RUNTIME_DIRECTORY", dir)
	b.start()
	info, err := os.Stat(filepath.Join(dir, sockFile))
	if err != nil || info.Mode().Perm() != 0o660 {
		t.Errorf("socket: %v %v", info, err)
	}
	if info, err := os.Stat(filepath.Join(b.dir, "data")); err != nil || info.Mode().Perm() != 0o700 {
		t.Errorf("data folder: %v %v", info, err)
	}
	if info, err := os.Stat(filepath.Join(b.dir, "data", storeFile)); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("store: %v %v", info, err)
	}
}

// At debug, with a PIN, a password, a key and customers: none of it may be in
// what the daemon says (design.md §7).
func TestLogHoldsNoSecretAndNoCustomer(t *testing.T) {
	bin := build(t, "")
	radio := startRadio(t, bin, "-magic", "-pin", "4711")
	b := newBox(t, bin, modemTable("counter", radio.port)+"pin_file = \"pin\"\n"+
		"[[smpp]]\nname = \"operator\"\naddr = \"127.0.0.1:1\"\nsystem_id = \"shop\"\npassword = \"hunter22\"\npool = \"operator\"\n")
	if err := os.WriteFile(filepath.Join(b.dir, "pin"), []byte("4711\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	b.start()
	b.makeKey("send,read")
	for _, to := range []string{"+31655512345", "+31655510001", "+31655510002", "+31655510006"} {
		b.post(hello(to, "Wardrobe pickup, Vermeulen"))
	}
	for to, state := range map[string]string{"+31655512345": "delivered", "+31655510002": "failed", "+31655510006": "undelivered"} {
		eventually(t, to+" becomes "+state, func() (bool, string) {
			out := b.must("list", "-to", to)
			return strings.Contains(out, state), out
		})
	}
	b.refusal(hello("not a number 0655598765", "Wardrobe pickup, Vermeulen"), http.StatusBadRequest)
	b.must("modem", "counter", "ussd", "*100#")
	b.stop()
	log := b.log.since(0)
	for _, secret := range []string{"4711", "hunter22", b.key, strings.TrimPrefix(b.key, "tp_"),
		"655512345", "655510001", "655510002", "655510006", "55598765", "Wardrobe", "Vermeulen",
		// the number and the text as they stand in a PDU: swapped semi-octets,
		// and the first septets packed
		"5615325354", "D7307D", "d7307d"} {
		if i := strings.Index(log, secret); i >= 0 {
			t.Errorf("the log holds %q:\n%s", secret, log[max(0, i-200):min(len(log), i+100)])
		}
	}
	if !strings.Contains(log, "counter") {
		t.Error("the log tells nothing of the modem, so this test proves nothing")
	}
}

// What README promises a newcomer: the printed line works as it stands.
func TestDemoCanBeUsedAsItIsPrinted(t *testing.T) {
	curl := need(t, "curl", "curl")
	bin := build(t, "")
	tmp := t.TempDir()
	cmd := exec.Command(filepath.Join(bin, "tillpostd"), "-demo")
	cmd.Env = append(os.Environ(), "TMPDIR="+tmp)
	said := launch(t, cmd, "Ctrl-C ends it")

	line := regexp.MustCompile(`(?s)curl -s .*?"}'`).FindString(said)
	if line == "" {
		t.Fatalf("no curl line in:\n%s", said)
	}
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	answer, err := exec.CommandContext(ctx, "sh", "-c", strings.Replace(line, "curl", curl, 1)).Output()
	if err != nil {
		t.Fatalf("%s\n%v %s", line, err, answer)
	}
	if !bytes.Contains(answer, []byte(`"id":"`)) {
		t.Fatalf("curl answered %s", answer)
	}
	byHand := regexp.MustCompile(`export TILLPOST_SOCKET=\S+\n.* send .*\n`).FindString(said)
	list := regexp.MustCompile(`export TILLPOST_SOCKET=\S+\n`).FindString(said) + filepath.Join(bin, "tillpost") + " list"
	if out, err := exec.CommandContext(ctx, "sh", "-ec", byHand).CombinedOutput(); byHand == "" || err != nil {
		t.Fatalf("%q: %v\n%s", byHand, err, out)
	}
	eventually(t, "both messages are delivered", func() (bool, string) {
		out, err := exec.CommandContext(ctx, "sh", "-ec", list).CombinedOutput()
		return err == nil && bytes.Count(out, []byte(" delivered ")) == 2, string(out)
	})
	stop(t, cmd, os.Interrupt)
	if !cmd.ProcessState.Success() {
		t.Errorf("the demo ended with %v", cmd.ProcessState)
	}
	if left, err := os.ReadDir(tmp); err != nil || slices.ContainsFunc(left, func(e os.DirEntry) bool { return strings.HasPrefix(e.Name(), "tillpost-demo-") }) {
		t.Errorf("the demo left %v (%v)", left, err)
	}
}

// need is the path of a program that the test wants. In CI its absence is a
// failure: there cross/test-packages has been installed.
func need(t *testing.T, program, pkg string) string {
	t.Helper()
	path, err := exec.LookPath(program)
	if err == nil {
		return path
	}
	if os.Getenv("TILLPOST_CI") == "1" {
		t.Fatalf("%s is missing: cross/test-packages must list the Debian package %s", program, pkg)
	}
	t.Skipf("%s is missing: apt-get install %s", program, pkg)
	return ""
}

// fails runs the daemon and wants it to give up by itself.
func (b *box) fails() (code int, stderr string) {
	b.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	var errs bytes.Buffer
	cmd := exec.CommandContext(ctx, filepath.Join(b.bin, "tillpostd"), "-config", b.boot)
	cmd.Stderr = &errs
	err := cmd.Run()
	exit, ok := errors.AsType[*exec.ExitError](err)
	if !ok || exit.ExitCode() < 0 {
		b.t.Fatalf("the daemon ended with %v\n%s", err, errs.String())
	}
	return exit.ExitCode(), errs.String()
}
