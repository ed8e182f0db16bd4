package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"tillpost/modem/sim"
	"tillpost/modem/usb/usbtest"
	"tillpost/queue/route"
	"tillpost/webui/api"
	"tillpost/webui/api/wire"
)

// usbBox is a box with sockets: the daemon as a function of this process, a
// made-up sysfs, and simulated modems on pseudo-terminals that are plugged in
// and pulled out.
type usbBox struct {
	*box
	tree *usbtest.Tree
	cell *sim.Cell
	site *daemon

	lockDir    string
	beforePlug func(device string) // if set, told before the box sees a modem

	mu      sync.Mutex
	tell    func() // the kernel's news
	plugged map[string]context.CancelFunc
	serving map[string]*sync.WaitGroup
}

// newUSBBox lays out a box that is not running yet.
func newUSBBox(t testing.TB) *usbBox {
	t.Helper()
	u := &usbBox{
		box:  &box{t: t, dir: t.TempDir(), log: &logbook{}},
		tree: usbtest.New(t), cell: sim.NewCell(sim.CellConfig{}), lockDir: t.TempDir(),
		plugged: map[string]context.CancelFunc{}, serving: map[string]*sync.WaitGroup{},
	}
	u.tree.Hub("usb1", "2.00")
	t.Cleanup(func() {
		for path := range u.plugged {
			u.unplug(path)
		}
		if err := u.cell.Close(); err != nil {
			t.Error(err)
		}
		if t.Failed() {
			t.Logf("the daemon's log:\n%s", u.log.tail(100))
		}
	})
	return u
}

// run starts the daemon on a boot file; stop, or the end of the test, ends it.
func (u *usbBox) run(toml string) (stop func()) {
	u.t.Helper()
	file := filepath.Join(u.dir, "tillpost.toml")
	head := fmt.Sprintf("data_dir = %q\nlisten = [\"127.0.0.1:0\"]\n", filepath.Join(u.dir, "data"))
	if err := os.WriteFile(file, []byte(head+toml), 0o600); err != nil {
		u.t.Fatal(err)
	}
	cfg, problems := loadConfig(file)
	if problems.fatal() {
		u.t.Fatalf("the boot file: %v", problems.list)
	}
	cfg.world = world{sys: u.tree.Sys, dev: u.tree.Dev, events: u.events, lockDir: u.lockDir}
	ctx, cancel := context.WithCancel(context.Background())
	ready, ended := make(chan *daemon, 1), make(chan error, 1)
	log := slog.New(slog.NewTextHandler(u.log, &slog.HandlerOptions{Level: slog.LevelDebug}))
	go func() {
		ended <- serve(ctx, cfg, log, func(d *daemon) error { ready <- d; return nil })
	}()
	select {
	case u.site = <-ready:
	case err := <-ended:
		u.t.Fatalf("the daemon did not start: %v", err)
	case <-time.After(patience):
		u.t.Fatal("the daemon does not start")
	}
	u.box.mu.Lock()
	u.base = u.site.base
	u.box.mu.Unlock()
	if u.key == "" {
		key, err := u.site.site.API.AddKey(u.t.Context(), "till", []api.Scope{api.Send, api.Read}, "test")
		if err != nil {
			u.t.Fatal(err)
		}
		u.key = key
	}
	var once sync.Once
	stop = func() {
		once.Do(func() {
			cancel()
			if err := <-ended; err != nil {
				u.t.Errorf("the daemon ended with %v", err)
			}
		})
	}
	u.t.Cleanup(stop)
	return stop
}

// events is the kernel of this box.
func (u *usbBox) events(ctx context.Context, changed func()) error {
	u.mu.Lock()
	u.tell = changed
	u.mu.Unlock()
	changed() // what happened before anybody listened
	<-ctx.Done()
	return nil
}

func (u *usbBox) happened() {
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.tell != nil {
		u.tell()
	}
}

// plug puts a modem into a socket, as a Quectel whose four ports are numbered
// from first on. It returns when the modem answers.
func (u *usbBox) plug(path string, first int, m *sim.Modem) {
	u.t.Helper()
	d := usbtest.Device{ID: "2c7c:0125", Maker: "Quectel", Model: "EC25"}
	for n := range 4 {
		d.Interfaces = append(d.Interfaces, usbtest.Serial(n, "ff/00/00", fmt.Sprint("ttyUSB", first+n)))
	}
	ctx, cancel := context.WithCancel(context.Background())
	up, ended := make(chan string, 1), &sync.WaitGroup{}
	ended.Go(func() {
		err := m.ServePTY(ctx, filepath.Join(u.tree.Dev, fmt.Sprint("ttyUSB", first+2)), func(device string) { up <- device })
		if err != nil && !errors.Is(err, context.Canceled) {
			u.t.Errorf("the simulated modem: %v", err)
		}
	})
	select {
	case device := <-up:
		if u.beforePlug != nil {
			u.beforePlug(device)
		}
	case <-time.After(patience):
		u.t.Fatal("no pseudo-terminal")
	}
	u.plugged[path], u.serving[path] = cancel, ended
	u.tree.Plug(path, d)
	u.happened()
}

// unplug pulls out whatever is in a socket.
func (u *usbBox) unplug(path string) {
	u.t.Helper()
	if cancel := u.plugged[path]; cancel != nil {
		cancel()
		u.serving[path].Wait()
		delete(u.plugged, path)
	}
	u.tree.Unplug(path)
	u.happened()
}

// routes reads GET /routes by name.
func (u *usbBox) routes() map[string]wire.Route {
	u.t.Helper()
	var page wire.Page[wire.Route]
	if status, err := u.call("GET", "/api/v1/routes", nil, &page); err != nil || status != http.StatusOK {
		u.t.Fatalf("GET /routes: %d %v", status, err)
	}
	byName := map[string]wire.Route{}
	for _, r := range page.Items {
		byName[r.Name] = r
	}
	return byName
}

// route waits until a route is as it should be.
func (u *usbBox) route(name, what string, ok func(wire.Route) bool) (r wire.Route) {
	u.t.Helper()
	eventually(u.t, name+" "+what, func() (bool, string) {
		all := u.routes()
		r = all[name]
		return r.Name != "" && ok(r), fmt.Sprintf("%+v", all)
	})
	return r
}

func isReady(r wire.Route) bool { return r.State == route.Ready }

// sends hands in a message for a route and waits until the cell has it.
func (u *usbBox) sends(pool, text string) sim.Submit {
	u.t.Helper()
	m := u.post(wire.Send{To: "+31612345678", Text: text, Pool: pool})
	u.becomes(m.ID, "delivered")
	for _, s := range u.cell.Submits() {
		if s.Text == text {
			return s
		}
	}
	u.t.Fatalf("the network never saw %q", text)
	return sim.Submit{}
}

// page is the overview as a person sees it.
func (u *usbBox) page() string {
	u.t.Helper()
	const password = "a password for the page"
	if err := u.site.site.SetPassword(u.t.Context(), password); err != nil {
		u.t.Fatal(err)
	}
	jar, err := cookiejar.New(nil)
	if err != nil {
		u.t.Fatal(err)
	}
	client := &http.Client{Jar: jar, Timeout: patience}
	req, err := http.NewRequest("POST", u.url()+"/login", strings.NewReader(url.Values{"password": {password}}.Encode()))
	if err != nil {
		u.t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	req.Header.Set("Origin", u.url())
	resp, err := client.Do(req)
	if err != nil {
		u.t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil || resp.StatusCode != http.StatusOK {
		u.t.Fatalf("the page: %d %v\n%s", resp.StatusCode, err, body)
	}
	return string(body)
}

// A box without a boot file: the modem is plugged in and sends; pulled out,
// the page says what a hand must do; plugged in elsewhere, with other numbers,
// it sends again under the same name and for the same SIM.
func TestPlugUnplugReplug(t *testing.T) {
	t.Parallel()
	u := newUSBBox(t)
	u.run("")
	m := sim.New(u.cell, sim.Identity(0))
	early := u.post(hello("+31612345678", "before there was a modem"))

	u.plug("1-1.3", 0, m)
	r := u.route("modem-1", "is ready", isReady)
	if filepath.Base(r.Port) != "ttyUSB2" || r.Device != sim.Identity(0).IMEI || r.Identity != sim.Identity(0).ICCID || r.Pool != "sms" {
		t.Errorf("%+v", r)
	}
	u.becomes(early.ID, "delivered")

	u.unplug("1-1.3")
	gone := u.route("modem-1", "is missed", func(r wire.Route) bool { return r.State == route.Hand && r.Code == "modem_gone" })
	if !strings.Contains(gone.Detail, "no modem with IMEI "+sim.Identity(0).IMEI) {
		t.Errorf("gone: %+v", gone)
	}
	if page := u.page(); !strings.Contains(page, "The modem is not connected. Check the USB cable") {
		t.Errorf("the page does not say what to do:\n%s", page)
	}

	u.plug("1-1.1", 8, m)
	again := u.route("modem-1", "is back", isReady)
	if filepath.Base(again.Port) != "ttyUSB10" || again.Device != r.Device || again.Identity != r.Identity {
		t.Errorf("back as %+v", again)
	}
	if s := u.sends("modem-1", "after the replug"); s.ICCID != r.Identity {
		t.Errorf("sent by %s", s.ICCID)
	}
	if all := u.routes(); len(all) != 1 {
		t.Errorf("there are %d routes: %+v", len(all), all)
	}
}

// Two sticks are pulled out and plugged in crosswise: each name goes where its
// IMEI is. What the boot file names by socket stays at the socket, and says
// that another modem hangs there.
func TestTwoSticksSwapped(t *testing.T) {
	for _, tc := range []struct {
		name, first, second string // of each [[modem]]
		follows             bool   // the names follow the modems
	}{
		{"named by IMEI", fmt.Sprintf("imei = %q", sim.Identity(0).IMEI), fmt.Sprintf("imei = %q", sim.Identity(1).IMEI), true},
		{"named by socket", `usb = "1-1.1"`, `usb = "1-1.2"`, false},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			u := newUSBBox(t)
			u.run(fmt.Sprintf("[[modem]]\nname = \"counter\"\n%s\n[[modem]]\nname = \"office\"\n%s\n", tc.first, tc.second))
			a, b := sim.New(u.cell, sim.Identity(0)), sim.New(u.cell, sim.Identity(1))
			u.plug("1-1.1", 0, a)
			u.plug("1-1.2", 4, b)
			for name, n := range map[string]int{"counter": 0, "office": 1} {
				if r := u.route(name, "is ready", isReady); r.Device != sim.Identity(n).IMEI {
					t.Errorf("%s is %+v", name, r)
				}
			}
			u.unplug("1-1.1")
			u.unplug("1-1.2")
			u.plug("1-1.2", 4, a) // the numbers are those of the other one before
			u.plug("1-1.1", 0, b)
			counter, office := 0, 1
			if !tc.follows {
				counter, office = 1, 0
			}
			for name, n := range map[string]int{"counter": counter, "office": office} {
				u.route(name, "is ready again", func(r wire.Route) bool { return isReady(r) && r.Device == sim.Identity(n).IMEI })
				if s := u.sends(name, "through "+name); s.IMEI != sim.Identity(n).IMEI || s.ICCID != sim.Identity(n).ICCID {
					t.Errorf("%s sent by IMEI %s, SIM %s", name, s.IMEI, s.ICCID)
				}
			}
			reported := strings.Contains(u.log.tail(1000), "another modem than before")
			if reported == tc.follows {
				t.Errorf("another modem was reported: %v", reported)
			}
			if !tc.follows {
				u.noticed("modem_changed", "counter")
				if r := u.routes()["counter"]; !strings.Contains(r.Detail, "another SIM than before") && !strings.Contains(r.Detail, "another modem than before") {
					t.Errorf("the route does not say so: %+v", r)
				}
			}
		})
	}
}

// noticed waits for an event of a route.
func (u *usbBox) noticed(code, name string) {
	u.t.Helper()
	eventually(u.t, code+" is an event of "+name, func() (bool, string) {
		var page struct {
			Items []struct{ Kind, Code, Route string }
		}
		status, err := u.call("GET", "/api/v1/events?limit=1000", nil, &page)
		if err != nil || status != http.StatusOK {
			return false, fmt.Sprint(status, err)
		}
		for _, e := range page.Items {
			if e.Kind == "notice" && e.Code == code && e.Route == name {
				return true, ""
			}
		}
		return false, fmt.Sprintf("%+v", page.Items)
	})
}

// A SIM moves to another stick: what was carried counts for the SIM, and the
// stick says that it has another one.
func TestSIMMovesToAnotherStick(t *testing.T) {
	t.Parallel()
	u := newUSBBox(t)
	u.run("[[modem]]\nname = \"counter\"\nusb = \"1-1.1\"\n")
	m := sim.New(u.cell, sim.Identity(0))
	u.plug("1-1.1", 0, m)
	u.route("counter", "is ready", isReady)
	u.unplug("1-1.1")
	other := sim.Identity(1)
	other.IMEI = sim.Identity(0).IMEI // the same stick …
	u.plug("1-1.1", 0, sim.New(u.cell, other))
	r := u.route("counter", "has another SIM", func(r wire.Route) bool { return isReady(r) && r.Identity == other.ICCID })
	u.noticed("sim_changed", "counter")
	if !strings.Contains(r.Detail, "another SIM than before") {
		t.Errorf("%+v", r)
	}
}

// Sticks that are of no use are routes that say why, on the API and on the
// page; one that is switched at last is used.
func TestUselessSticksAreShown(t *testing.T) {
	t.Parallel()
	u := newUSBBox(t)
	u.run("")
	u.tree.Plug("1-1.2", usbtest.Device{ID: "12d1:14dc", Maker: "HUAWEI_MOBILE", Interfaces: []usbtest.Interface{
		{Number: 0, Class: "02/06/00", Driver: "cdc_ether"}, {Number: 1, Class: "0a/06/00", Driver: "cdc_ether"}}})
	u.tree.Plug("1-1.4", usbtest.Device{ID: "2c7c:0125", Interfaces: []usbtest.Interface{{Number: 2, Class: "ff/00/00"}}})
	u.happened()

	router := u.route("usb-1-1.2", "is explained", func(r wire.Route) bool { return r.Code == "stick_router" })
	if router.State != route.Hand || router.Kind != "modem" || !strings.Contains(router.Reason, "router mode") || !strings.Contains(router.Detail, "12d1:14dc") {
		t.Errorf("%+v", router)
	}
	u.route("usb-1-1.4", "is explained", func(r wire.Route) bool { return r.Code == "stick_driver" })
	if page := u.page(); !strings.Contains(page, router.Reason) {
		t.Errorf("the page lacks %q:\n%s", router.Reason, page)
	}
	waiting := u.post(hello("+31612345678", "for the right stick"))

	u.unplug("1-1.2")
	u.unplug("1-1.4")
	u.plug("1-1.2", 0, sim.New(u.cell, sim.Identity(0)))
	u.becomes(waiting.ID, "delivered")
	eventually(t, "only the modem is listed", func() (bool, string) {
		all := u.routes()
		return len(all) == 1 && isReady(all["modem-1"]), fmt.Sprintf("%+v", all)
	})
}

// A modem that the boot file names is not found, and a stick in router mode
// hangs in its socket: that is why.
func TestMissingModemIsExplainedByTheStickInItsPlace(t *testing.T) {
	t.Parallel()
	u := newUSBBox(t)
	u.run(fmt.Sprintf("[[modem]]\nname = \"counter\"\nimei = %q\n[[modem]]\nname = \"office\"\nport = %q\n[[modem]]\nname = \"attic\"\nusb = \"1-1.3\"\n",
		sim.Identity(0).IMEI, filepath.Join(u.tree.Dev, "ttyUSB9")))
	u.tree.Plug("1-1.3", usbtest.Device{ID: "19d2:1405", Maker: "ZTE", Interfaces: []usbtest.Interface{{Class: "e0/01/03", Driver: "rndis_host"}}})
	u.happened()
	attic := u.route("attic", "is explained", func(r wire.Route) bool { return r.Code == "stick_router" })
	if attic.State != route.Hand || !strings.Contains(attic.Detail, "19d2:1405") {
		t.Errorf("%+v", attic)
	}
	for name, words := range map[string]string{"counter": "no modem with IMEI", "office": "ttyUSB9 is not there"} {
		r := u.route(name, "is missed", func(r wire.Route) bool { return r.State == route.Hand })
		if !strings.Contains(r.Detail, words) {
			t.Errorf("%s: %+v", name, r)
		}
	}
}

// Names outlive a restart of the daemon, in whatever order the sticks are
// found.
func TestFoundModemsKeepTheirNames(t *testing.T) {
	t.Parallel()
	u := newUSBBox(t)
	stop := u.run("")
	a, b := sim.New(u.cell, sim.Identity(0)), sim.New(u.cell, sim.Identity(1))
	u.plug("1-1.1", 0, a)
	u.route("modem-1", "is ready", isReady)
	u.plug("1-1.2", 4, b)
	u.route("modem-2", "is ready", isReady)
	stop()
	u.unplug("1-1.1")
	u.unplug("1-1.2")

	u.run("")
	u.plug("1-1.1", 0, b)
	r := u.route("modem-2", "is ready", isReady)
	if r.Device != sim.Identity(1).IMEI || len(u.routes()) != 1 {
		t.Errorf("%+v of %+v", r, u.routes())
	}
}

// Another program holds the port, and its lock file says which: the page does
// too. Once it has gone, the modem is used.
func TestPortHeldByAnotherProgramIsShown(t *testing.T) {
	t.Parallel()
	u := newUSBBox(t)
	u.run("")
	other := exec.Command("sleep", "600")
	if err := other.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() {
		other.Process.Kill()
		other.Wait() // killed
	}()
	m := sim.New(u.cell, sim.Identity(0))
	u.beforePlug = func(device string) {
		lock := filepath.Join(u.lockDir, "LCK.."+strings.ReplaceAll(strings.TrimPrefix(device, "/dev/"), "/", "_"))
		if err := os.WriteFile(lock, fmt.Appendf(nil, "%10d\n", other.Process.Pid), 0o644); err != nil {
			t.Error(err)
		}
	}
	u.plug("1-1.3", 0, m)
	r := u.route("usb-1-1.3", "is held", func(r wire.Route) bool { return r.Code == "port_busy" })
	if r.State != route.Hand || !strings.Contains(r.Reason, "Another program is using the modem") || !strings.Contains(r.Detail, fmt.Sprintf("sleep (process %d)", other.Process.Pid)) {
		t.Errorf("%+v", r)
	}
	if err := other.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	other.Wait() // killed
	u.route("modem-1", "is ready", isReady)
	eventually(t, "nothing else is listed", func() (bool, string) {
		all := u.routes()
		return len(all) == 1, fmt.Sprintf("%+v", all)
	})
}

// Two cheap sticks with one IMEI are two modems all the same, each in its
// socket.
func TestTwoSticksWithOneIMEI(t *testing.T) {
	t.Parallel()
	u := newUSBBox(t)
	u.run("")
	twin := sim.Identity(1)
	twin.IMEI = sim.Identity(0).IMEI
	u.plug("1-1.3", 0, sim.New(u.cell, sim.Identity(0)))
	u.route("modem-1", "is ready", isReady)
	second := sim.New(u.cell, twin)
	u.plug("1-1.2", 4, second) // before the first, as sockets are counted
	for name, n := range map[string]int{"modem-1": 0, "modem-2": 1} {
		u.route(name, "is ready", isReady)
		if s := u.sends(name, "through "+name); s.ICCID != sim.Identity(n).ICCID {
			t.Errorf("%s sent for SIM %s", name, s.ICCID)
		}
	}
	u.unplug("1-1.3")
	u.unplug("1-1.2")
	u.plug("1-1.2", 4, second) // alone now, it stays what it was
	u.route("modem-2", "is ready again", isReady)
	if r := u.routes()["modem-1"]; isReady(r) {
		t.Errorf("modem-1 is where modem-2 is: %+v", r)
	}
}

// A PIN that a SIM refused in one modem is not tried when the SIM hangs in
// another one.
func TestRefusedPINIsKnownToAllModems(t *testing.T) {
	t.Parallel()
	u := newUSBBox(t)
	pin := filepath.Join(u.dir, "pin")
	if err := os.WriteFile(pin, []byte("1111\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	u.run("[[modem]]\nname = \"counter\"\nusb = \"1-1.1\"\npin_file = \"pin\"\n[[modem]]\nname = \"office\"\nusb = \"1-1.2\"\npin_file = \"pin\"\n")
	card := sim.Identity(0)
	card.PIN = "2222"
	first := sim.New(u.cell, card)
	u.plug("1-1.1", 0, first)
	u.route("counter", "wants another PIN", func(r wire.Route) bool { return r.Code == "sim_pin_wrong" })
	if n := first.PINEntries(); n != 1 {
		t.Errorf("the PIN was tried %d times", n)
	}
	u.unplug("1-1.1")
	second := sim.New(u.cell, sim.Identity(1))
	second.Insert(first.Insert(nil))
	u.plug("1-1.2", 4, second)
	u.route("office", "knows that it was refused", func(r wire.Route) bool { return r.Code == "sim_pin_wrong" })
	if n := second.PINEntries(); n != 1 { // of the SIM, since it was made
		t.Errorf("the PIN was tried %d times", n)
	}
}

// The box has no netlink: what is plugged in is seen all the same.
func TestHotPlugWithoutEvents(t *testing.T) {
	t.Parallel()
	u := newUSBBox(t)
	u.plug("1-1.3", 0, sim.New(u.cell, sim.Identity(0)))
	u.run("")
	u.mu.Lock()
	u.tell = nil
	u.mu.Unlock()
	u.route("modem-1", "is ready", isReady)
}

// What a replug costs: from the moment at which the modem answers AT under its
// new name, to the first PDU of a message that waited. Budget: 5 s.
func BenchmarkReplugged(b *testing.B) {
	u := newUSBBox(b)
	u.run("")
	m := sim.New(u.cell, sim.Identity(0))
	u.plug("1-1.3", 0, m)
	u.route("modem-1", "is ready", isReady)
	var worst, sum time.Duration
	n := 0
	for b.Loop() {
		b.StopTimer()
		u.unplug([]string{"1-1.3", "1-1.1"}[n%2])
		u.route("modem-1", "is missed", func(r wire.Route) bool { return r.Code == "modem_gone" })
		n++
		waiting := u.post(hello("+31612345678", fmt.Sprint("waiting ", n)))
		b.StartTimer()
		u.plug([]string{"1-1.3", "1-1.1"}[n%2], 4*n, m)
		began := time.Now()
		ctx, cancel := context.WithTimeout(b.Context(), patience)
		err := u.cell.Wait(ctx, func(c *sim.Cell) bool { return c.Accepted() >= n })
		cancel()
		if err != nil {
			b.Fatalf("it does not send again: %v", err)
		}
		took := time.Since(began)
		worst, sum = max(worst, took), sum+took
		b.StopTimer()
		u.becomes(waiting.ID, "delivered")
		b.StartTimer()
	}
	report1(b, (sum / time.Duration(n)).Seconds(), "s-to-sending")
	b.ReportMetric(worst.Seconds(), "s-at-most")
}
