package whole

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"tillpost/cmd/tillpost/hand"
	"tillpost/modem/usb/usbtest"
)

// clinic is a machine for the doctor: everything below a folder.
type clinic struct {
	t    *testing.T
	root string
	tree *usbtest.Tree
}

func newClinic(t *testing.T) *clinic {
	tree := usbtest.New(t)
	return &clinic{t, filepath.Dir(tree.Sys), tree}
}

func (c *clinic) write(path, text string, mode os.FileMode) {
	c.t.Helper()
	path = filepath.Join(c.root, path)
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		c.t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), mode); err != nil {
		c.t.Fatal(err)
	}
	if err := os.Chmod(path, mode); err != nil { // whatever the umask
		c.t.Fatal(err)
	}
}

// port makes a device node that the daemon may use.
func (c *clinic) port(name string) string {
	c.write("dev/"+name, "", 0o666)
	return filepath.Join(c.root, "dev", name)
}

func (c *clinic) process(pid int, name, command string, open ...string) {
	c.t.Helper()
	dir := fmt.Sprint("proc/", pid)
	c.write(dir+"/comm", name+"\n", 0o644)
	c.write(dir+"/cmdline", command, 0o644)
	fds := filepath.Join(c.root, dir, "fd")
	if err := os.Mkdir(fds, 0o755); err != nil {
		c.t.Fatal(err)
	}
	for n, file := range open {
		if err := os.Symlink(file, filepath.Join(fds, fmt.Sprint(n+3))); err != nil {
			c.t.Fatal(err)
		}
	}
}

func (c *clinic) quectel(socket string, first int) {
	d := usbtest.Device{ID: "2c7c:0125"}
	for n := range 4 {
		d.Interfaces = append(d.Interfaces, usbtest.Serial(n, "ff/00/00", fmt.Sprint("ttyUSB", first+n)))
	}
	c.tree.Plug(socket, d)
}

func TestDoctorFindsNothing(t *testing.T) {
	b, c := newBox(t), newClinic(t)
	c.quectel("1-1.3", 0)
	c.process(40, "tillpostd", "/usr/bin/tillpostd\x00-config\x00x", c.port("ttyUSB2"))
	c.port("ttyUSB0")
	until(t, "the modem is ready", func() bool { return strings.Contains(b.must(t, "status"), "ready") })
	out := b.must(t, "doctor", "-root", c.root)
	wants(t, out, "tillpostd ok", "USB 1-1.3  Quectel EC25 / EG25-G (2c7c:0125)", "ttyUSB2  interface 2  AT commands",
		"held by /usr/bin/tillpostd -config x (process 40)", "ttyUSB0  interface 0  diagnostics, GPS or the like: never opened",
		"USB reset", "not possible here: this box has no", "USB power")
	if strings.Contains(out, "wants a hand") {
		t.Errorf("it is ill:\n%s", out)
	}
}

// What the modem itself has to say is asked, too.
func TestDoctorAsksTheModem(t *testing.T) {
	b, c := newBox(t), newClinic(t)
	b.modem.mu.Lock()
	b.modem.found = []string{"The network offers no short messages over LTE."}
	b.modem.mu.Unlock()
	until(t, "the modem is ready", func() bool { return strings.Contains(b.must(t, "status"), "ready") })
	out, errs, code := b.says(t, "", "doctor", "-root", c.root)
	if code != hand.Failed || !strings.Contains(errs, "one thing wants a hand") {
		t.Errorf("exit %d: %s", code, errs)
	}
	wants(t, out, "counter: The network offers no short messages over LTE.", "note: no modem is plugged in at any USB socket")
}

func TestDoctorNamesWhoHoldsAPort(t *testing.T) {
	b, c := newBox(t), newClinic(t)
	c.quectel("1-1.3", 0)
	port := c.port("ttyUSB2")
	c.process(12, "python3", "python3\x00/opt/pos/sms.py", port)
	c.write("run/lock/LCK..ttyUSB2", "        12\n", 0o644)
	c.write("run/lock/LCK..ttyUSB3", "      4711\n", 0o644)
	c.process(13, "ModemManager", "/usr/sbin/ModemManager")
	out, errs, code := b.says(t, "", "doctor", "-root", c.root)
	if code != hand.Failed || !strings.Contains(errs, "want a hand") {
		t.Errorf("exit %d: %s", code, errs)
	}
	wants(t, out, "What wants a hand:", port+": is held by python3 /opt/pos/sms.py (process 12)", "stop it, or name another modem",
		"its lock is "+filepath.Join(c.root, "run/lock/LCK..ttyUSB2"),
		"ModemManager: runs here (process 13) and sends commands of its own", "sudo systemctl disable --now ModemManager",
		"note: "+filepath.Join(c.root, "run/lock/LCK..ttyUSB3")+" was left behind by a program that runs no longer (process 4711)")
}

func TestDoctorExplainsUselessSticks(t *testing.T) {
	b, c := newBox(t), newClinic(t)
	c.tree.Plug("1-1.1", usbtest.Device{ID: "12d1:14dc", Interfaces: []usbtest.Interface{{Class: "02/06/00", Driver: "cdc_ether"}}})
	c.tree.Plug("1-1.2", usbtest.Device{ID: "19d2:2000", Interfaces: []usbtest.Interface{{Class: "08/06/50", Driver: "usb-storage"}}})
	out, _, code := b.says(t, "", "doctor", "-root", c.root)
	if code != hand.Failed {
		t.Errorf("exit %d", code)
	}
	wants(t, out, "USB 1-1.1: the stick is in router mode", "USB 1-1.2: the stick still shows itself as a disk", "sudo apt-get install usb-modeswitch")
	c.write("usr/sbin/usb_modeswitch", "", 0o755)
	out, _, _ = b.says(t, "", "doctor", "-root", c.root)
	wants(t, out, "usb-modeswitch is installed: unplug the stick")
}

func TestDoctorSeesWhatTheDaemonMayNotOpen(t *testing.T) {
	b, c := newBox(t), newClinic(t)
	c.quectel("1-1.3", 0)
	c.write("dev/ttyUSB2", "", 0o600)
	c.write("dev/ttyUSB0", "", 0o600) // never opened, so nobody's trouble
	out, _, code := b.says(t, "", "doctor", "-root", c.root)
	if code != hand.Failed || strings.Count(out, "may not be opened by the daemon's user") != 1 {
		t.Errorf("exit %d:\n%s", code, out)
	}
	wants(t, out, filepath.Join(c.root, "dev/ttyUSB2")+": may not be opened", "with mode 0600", "group dialout")
}

// The machine is looked at also when no daemon runs, and programs get it as
// JSON.
func TestDoctorWithoutADaemon(t *testing.T) {
	b, c := newBox(t), newClinic(t)
	b.dir = t.TempDir() // nobody listens there
	c.quectel("1-1.3", 0)
	out, errs, code := b.says(t, "", "-json", "doctor", "-root", c.root)
	if code != hand.Failed || !strings.Contains(errs, "one thing wants a hand") {
		t.Errorf("exit %d: %s", code, errs)
	}
	var d diagnosis
	if err := json.Unmarshal([]byte(out), &d); err != nil {
		t.Fatalf("%v in %s", err, out)
	}
	if len(d.Trouble) != 1 || d.Trouble[0].About != "tillpostd" || !strings.Contains(d.Trouble[0].What, "is it running") || len(d.Sticks) != 1 || len(d.Sticks[0].Ports) != 4 || len(d.Sticks[0].Rungs) != 2 {
		t.Errorf("%+v", d)
	}
}

func TestDoctorOfAnotherMachine(t *testing.T) {
	b := newBox(t)
	out, errs, code := b.says(t, "", "doctor", "-root", t.TempDir(), "too many")
	if code != hand.Misuse || out != "" {
		t.Errorf("exit %d: %s%s", code, out, errs)
	}
	var o, e strings.Builder
	if code := Run(t.Context(), []string{"-url", "http://127.0.0.1:1", "-key", "k", "doctor"}, nil, &o, &e); code != hand.Misuse || !strings.Contains(e.String(), "the machine it runs on") {
		t.Errorf("exit %d: %s", code, e.String())
	}
}
