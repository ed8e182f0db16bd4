package usb

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"tillpost/modem/usb/usbtest"
)

// counter is a box with a Watcher: sticks are plugged in and pulled out, and
// behind their ports hang peers.
type counter struct {
	*Watcher
	t    *testing.T
	tree *usbtest.Tree

	mu     sync.Mutex
	peers  map[string]*peer  // by port
	refuse map[string]string // ports that do not open, and the key why
	opened []string
	told   [][]Found
	event  func() // tells the Watcher
	blind  bool
}

// watch runs a Watcher until the test ends. It is called inside a bubble.
func watch(t *testing.T, cfg Config) *counter {
	c := &counter{t: t, tree: usbtest.New(t), peers: map[string]*peer{}, refuse: map[string]string{}}
	cfg.Sys, cfg.Dev, cfg.Open = c.tree.Sys, c.tree.Dev, c.open
	cfg.Changed = func(list []Found) {
		c.mu.Lock()
		defer c.mu.Unlock()
		c.told = append(c.told, list)
	}
	if cfg.Events == nil {
		cfg.Events = func(ctx context.Context, changed func()) error {
			c.mu.Lock()
			c.event = changed
			c.mu.Unlock()
			<-ctx.Done()
			return nil
		}
	}
	c.Watcher = New(cfg)
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- c.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Errorf("Run: %v", err)
		}
	})
	synctest.Wait()
	return c
}

func (c *counter) open(port string) (Line, string, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	name := filepath.Base(port)
	c.opened = append(c.opened, name)
	if code := c.refuse[name]; code != "" {
		return nil, code, fmt.Errorf("port %s: %s", name, code)
	}
	p := c.peers[name]
	if p == nil {
		p = &peer{}
	}
	return p.line(c.t), "", nil
}

func (c *counter) happened() {
	c.mu.Lock()
	event := c.event
	c.mu.Unlock()
	event()
}

// behind hangs a modem with an IMEI behind a port.
func (c *counter) behind(port, imei string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.peers[port] = &peer{say: answers(map[string]string{"AT": ok, "AT+CGMI": "\r\nhuawei\r\n" + ok, "AT+CGSN": "\r\n" + imei + "\r\n" + ok, "AT+CPIN?": "\r\n+CPIN: READY\r\n" + ok})}
}

func (c *counter) refuses(port, code string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.refuse[port] = code
}

func (c *counter) plug(path string, d usbtest.Device) {
	c.tree.Plug(path, d)
	c.happened()
}

func (c *counter) unplug(path string) {
	c.tree.Unplug(path)
	c.happened()
}

// at waits for d and returns what is known of a socket then.
func (c *counter) at(path string, d time.Duration) Found {
	c.t.Helper()
	time.Sleep(d)
	synctest.Wait()
	for _, f := range c.Sticks() {
		if f.Path == path {
			return f
		}
	}
	return Found{}
}

func (c *counter) opens() string {
	c.mu.Lock()
	defer c.mu.Unlock()
	s := strings.Join(c.opened, " ")
	c.opened = nil
	return s
}

func every(Stick) bool { return true }

// stick is a Quectel with its four ports from number first on.
func stick(first int) usbtest.Device {
	d := usbtest.Device{ID: "2c7c:0125", Maker: "Quectel"}
	for n := range 4 {
		d.Interfaces = append(d.Interfaces, serial(n, "ff/00/00", fmt.Sprint("ttyUSB", first+n)))
	}
	return d
}

const (
	imeiA = "352099001761481"
	imeiB = "352099001761499"
)

func TestStickPluggedInIsAskedWhoItIs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := watch(t, Config{})
		c.behind("ttyUSB2", imeiA)
		c.plug("1-1.3", stick(0))
		f := c.at("1-1.3", 2*time.Second)
		if f.IMEI != imeiA || f.Maker != "huawei" || filepath.Base(f.Port) != "ttyUSB2" || f.Code != "" {
			t.Errorf("%+v", f)
		}
		if opened := c.opens(); opened != "ttyUSB2" {
			t.Errorf("it opened %s: diagnostics and GPS are never opened", opened)
		}
		c.unplug("1-1.3")
		if f := c.at("1-1.3", time.Second); f.Path != "" {
			t.Errorf("after it was pulled out: %+v", f)
		}
		// Nothing more happens, and nothing more is told.
		before := len(c.told)
		time.Sleep(time.Hour)
		synctest.Wait()
		if len(c.told) != before || c.opens() != "" {
			t.Errorf("told %d times more", len(c.told)-before)
		}
	})
}

// Two sticks change sockets, and their ports change numbers: each is known by
// its IMEI again.
func TestSwappedAndRenumbered(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := watch(t, Config{})
		c.behind("ttyUSB2", imeiA)
		c.behind("ttyUSB6", imeiB)
		c.plug("1-1.1", stick(0))
		c.plug("1-1.2", stick(4))
		if a, b := c.at("1-1.1", 2*time.Second), c.at("1-1.2", 0); a.IMEI != imeiA || b.IMEI != imeiB {
			t.Fatalf("%+v, %+v", a, b)
		}
		c.unplug("1-1.1")
		c.unplug("1-1.2")
		time.Sleep(time.Second)
		c.behind("ttyUSB6", imeiA)
		c.behind("ttyUSB2", imeiB)
		c.plug("1-1.2", stick(4))
		c.plug("1-1.1", stick(0))
		a, b := c.at("1-1.2", 2*time.Second), c.at("1-1.1", 0)
		if a.IMEI != imeiA || filepath.Base(a.Port) != "ttyUSB6" || b.IMEI != imeiB || filepath.Base(b.Port) != "ttyUSB2" {
			t.Errorf("%+v, %+v", a, b)
		}
	})
}

// A USB reset gives the same arrival new names for its ports: the modem is
// still known, without a question.
func TestResetRenumbersPorts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := watch(t, Config{})
		c.behind("ttyUSB2", imeiA)
		c.plug("1-1.3", stick(0))
		c.at("1-1.3", 2*time.Second)
		c.opens()
		devices := filepath.Join(c.tree.Sys, "bus", "usb", "devices")
		move := func(from, to string) {
			if err := os.Rename(filepath.Join(devices, "1-1.3:1.2", from), filepath.Join(devices, "1-1.3:1.2", to)); err != nil {
				t.Fatal(err)
			}
			c.happened()
		}
		move("ttyUSB2", "gone")
		if f := c.at("1-1.3", time.Second); f.Port != "" || f.IMEI != imeiA || f.Code != "" {
			t.Errorf("in the middle of it: %+v", f)
		}
		move("gone", "ttyUSB9")
		if f := c.at("1-1.3", time.Second); filepath.Base(f.Port) != "ttyUSB9" || f.IMEI != imeiA || c.opens() != "" {
			t.Errorf("after it: %+v", f)
		}
	})
}

// Behind an adapter the modem can change without a word from the kernel.
func TestDoubtedStickIsAskedAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := watch(t, Config{})
		c.behind("ttyUSB0", imeiA)
		c.plug("1-1.3", usbtest.Device{ID: "0403:6001", Interfaces: []usbtest.Interface{{Class: "ff/ff/ff", Driver: "ftdi_sio", TTY: "ttyUSB0"}}})
		f := c.at("1-1.3", 2*time.Second)
		if f.IMEI != imeiA {
			t.Fatalf("%+v", f)
		}
		c.behind("ttyUSB0", imeiB)
		c.Doubt(f)
		if f := c.at("1-1.3", 2*time.Second); f.IMEI != imeiB {
			t.Errorf("%+v", f)
		}
	})
}

// What hangs behind an adapter may be a printer: it hears AT once, at each
// rate, and is then left alone. It is nobody's trouble.
func TestAdapterWithoutAModemIsAskedOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := watch(t, Config{})
		c.plug("1-1.4", usbtest.Device{ID: "067b:2303", Interfaces: []usbtest.Interface{{Class: "ff/00/00", Driver: "pl2303", TTY: "ttyUSB0"}}})
		if f := c.at("1-1.4", time.Hour); f.Code != "" || f.Port != "" || f.Mode != Adapter {
			t.Errorf("%+v", f)
		}
		if n := len(strings.Fields(c.opens())); n == 0 || n > len(adapterRates) {
			t.Errorf("it was opened %d times", n)
		}
		c.refuses("ttyUSB0", "port_busy")
		c.unplug("1-1.4")
		time.Sleep(time.Second)
		c.plug("1-1.4", usbtest.Device{ID: "067b:2303", Interfaces: []usbtest.Interface{{Class: "ff/00/00", Driver: "pl2303", TTY: "ttyUSB0"}}})
		if f := c.at("1-1.4", time.Minute); f.Code != "" {
			t.Errorf("another program's printer: %+v", f)
		}
	})
}

// A GPS receiver behind an adapter is understood at its rate, and left alone.
func TestReceiverBehindAnAdapter(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := watch(t, Config{})
		gps := &peer{first: "$GPGGA,123519,4807.038,N,01131.000,E,1,08,0.9,545.4,M,46.9,M,,*47\r\n"}
		c.mu.Lock()
		c.peers["ttyUSB0"] = gps
		c.mu.Unlock()
		c.plug("1-1.4", usbtest.Device{ID: "067b:2303", Interfaces: []usbtest.Interface{{Class: "ff/00/00", Driver: "pl2303", TTY: "ttyUSB0"}}})
		if f := c.at("1-1.4", time.Hour); f.Port != "" || f.Code != "" || gps.said() != "" || c.opens() != "ttyUSB0" {
			t.Errorf("%+v; it was told %q", f, gps.said())
		}
	})
}

// Sticks that are of no use say so in words, once it is sure.
func TestUselessSticksAreExplained(t *testing.T) {
	for _, tc := range []struct {
		name  string
		id    string
		iface usbtest.Interface
		code  string
		grace time.Duration
		words string
	}{
		{"disk", "19d2:2000", bare(0, "08/06/50", "usb-storage"), "stick_disk", 20 * time.Second, "usb-modeswitch"},
		{"router", "12d1:14dc", bare(0, "02/06/00", "cdc_ether"), "stick_router", 5 * time.Second, "router mode"},
		{"data only", "2c7c:0125", bare(0, "02/0e/00", "cdc_mbim"), "stick_closed", 5 * time.Second, "composition"},
		{"no driver", "2c7c:0125", bare(2, "ff/00/00", ""), "stick_driver", 5 * time.Second, "option"},
		{"no firmware", "06e0:f108", bare(0, "ff/00/00", ""), "stick_driver", 5 * time.Second, "firmware file"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c := watch(t, Config{})
				c.plug("1-1.3", usbtest.Device{ID: tc.id, Interfaces: []usbtest.Interface{tc.iface}})
				if f := c.at("1-1.3", tc.grace-time.Second); f.Code != "" {
					t.Errorf("too early: %+v", f)
				}
				f := c.at("1-1.3", 2*time.Second)
				if f.Code != tc.code || !strings.Contains(f.Detail, tc.words) || !strings.Contains(f.Detail, "at USB 1-1.3") || !strings.Contains(f.Detail, tc.id) {
					t.Errorf("%s: %s", f.Code, f.Detail)
				}
				if c.opens() != "" {
					t.Error("it was opened")
				}
			})
		})
	}
}

// The switch from disk to modem, as usb-modeswitch does it: another arrival in
// the same socket, under another id.
func TestSwitchedStickBecomesAModem(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := watch(t, Config{})
		c.plug("1-1.3", usbtest.Device{ID: "12d1:1446", Interfaces: []usbtest.Interface{bare(0, "08/06/50", "usb-storage")}})
		time.Sleep(3 * time.Second)
		c.unplug("1-1.3")
		c.behind("ttyUSB1", imeiA)
		c.plug("1-1.3", usbtest.Device{ID: "12d1:1506", Interfaces: []usbtest.Interface{serial(0, "ff/02/10", "ttyUSB0"), serial(1, "ff/02/12", "ttyUSB1")}})
		if f := c.at("1-1.3", 3*time.Second); f.IMEI != imeiA || f.Mode != Modem {
			t.Errorf("%+v", f)
		}
		for _, list := range c.told {
			for _, f := range list {
				if f.Code != "" {
					t.Errorf("somebody was troubled with %s", f.Detail)
				}
			}
		}
	})
}

// udev gives the rights a moment after the port is there: that is no news. A
// port that stays closed is.
func TestPortThatDoesNotOpen(t *testing.T) {
	for _, code := range []string{"port_denied", "port_busy"} {
		synctest.Test(t, func(t *testing.T) {
			c := watch(t, Config{Heal: every})
			c.refuses("ttyUSB2", code)
			c.refuses("ttyUSB3", "modem_gone")
			c.plug("1-1.3", stick(0))
			if f := c.at("1-1.3", 3*time.Second); f.Code != "" {
				t.Errorf("too early: %+v", f)
			}
			if f := c.at("1-1.3", 7*time.Second); f.Code != code || !strings.Contains(f.Detail, "ttyUSB2") {
				t.Errorf("%+v", f)
			}
			c.behind("ttyUSB2", imeiA)
			c.refuses("ttyUSB2", "")
			if f := c.at("1-1.3", 10*time.Second); f.IMEI != imeiA || f.Code != "" {
				t.Errorf("open at last: %+v", f)
			}
		})
	}
}

// A stick that somebody else talks to is neither asked nor reset.
func TestStickOfSomebodyElse(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := watch(t, Config{Heal: every, May: func(s Stick) Asking { return Never }})
		c.plug("1-1.3", stick(0))
		if f := c.at("1-1.3", time.Hour); f.Code != "" || f.Port != "" || f.Mode != Modem {
			t.Errorf("%+v", f)
		}
		if opened := c.opens(); opened != "" {
			t.Errorf("it opened %s", opened)
		}
	})
}

// Links to ports come from udev, after the ports: until then nothing is asked.
func TestSettling(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := watch(t, Config{Settle: 2 * time.Second})
		c.behind("ttyUSB2", imeiA)
		c.plug("1-1.3", stick(0))
		if c.at("1-1.3", 1900*time.Millisecond); c.opens() != "" {
			t.Error("asked at once")
		}
		if f := c.at("1-1.3", 2*time.Second); f.IMEI != imeiA {
			t.Errorf("%+v", f)
		}
	})
}

// Without the kernel's news it looks every two seconds.
func TestWithoutEvents(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := watch(t, Config{Events: func(context.Context, func()) error { return errors.New("no netlink here") }})
		c.behind("ttyUSB2", imeiA)
		c.tree.Plug("1-1.3", stick(0))
		if f := c.at("1-1.3", 4*time.Second); f.IMEI != imeiA {
			t.Errorf("%+v", f)
		}
	})
}

// Events can be lost: every half minute it looks all the same.
func TestLostEvent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := watch(t, Config{})
		c.behind("ttyUSB2", imeiA)
		c.tree.Plug("1-1.3", stick(0))
		if f := c.at("1-1.3", 33*time.Second); f.IMEI != imeiA {
			t.Errorf("%+v", f)
		}
	})
}

// A stick that never answers is reset, then loses its power for a while, and
// is then helped every quarter of an hour. One that answers is left alone.
func TestSilentStickIsHelped(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := watch(t, Config{Heal: every})
		hubBus, hubDev := c.tree.Hub("1-1", "2.00")
		fs := &bus{resets: map[string]error{}, hubs: map[string]*hub{}, denied: map[string]bool{}}
		fs.hubs[nodePath(c.tree.Dev, hubBus, hubDev)] = &hub{bus: fs, ports: 4, switching: switchIndividual, off: map[uint16]bool{}}
		c.reach = func(s Stick) *Device {
			d := Reach(s, c.tree.Sys, c.tree.Dev)
			d.open = fs.openNode
			return d
		}
		c.behind("ttyUSB6", imeiB)
		c.plug("1-1.2", stick(4))
		stickBus, dev := c.tree.Plug("1-1.3", stick(0))
		fs.resets[nodePath(c.tree.Dev, stickBus, dev)] = nil
		c.happened()
		f := c.at("1-1.3", 30*time.Second)
		if f.Code != "modem_silent" || !strings.Contains(f.Detail, "ttyUSB") || len(fs.said()) != 0 {
			t.Errorf("%+v after %q", f, fs.said())
		}
		stickDev := fmt.Sprintf("%03d", f.Dev)
		for _, step := range []struct {
			after time.Duration
			want  string
		}{
			{time.Minute, "reset " + stickDev},
			{2 * time.Minute, "reset " + stickDev + ", socket 3 off, socket 3 on"},
			{10 * time.Minute, "reset " + stickDev + ", socket 3 off, socket 3 on"},
			{5 * time.Minute, "reset " + stickDev + ", socket 3 off, socket 3 on, reset " + stickDev},
		} {
			f = c.at("1-1.3", step.after)
			if got := strings.Join(fs.said(), ", "); got != step.want {
				t.Fatalf("%v later: %s, want %s", step.after, got, step.want)
			}
		}
		if f.Code != "modem_silent" {
			t.Errorf("%+v", f)
		}
		c.behind("ttyUSB2", imeiA)
		if f = c.at("1-1.3", 10*time.Second); f.IMEI != imeiA {
			t.Errorf("it answers: %+v", f)
		}
		if f = c.at("1-1.2", 0); f.IMEI != imeiB {
			t.Errorf("its neighbour: %+v", f)
		}
	})
}

// The box may reach the Internet by a stick whose AT port is silent: it is not
// reset for that. And what Heal does not want is not either.
func TestSilentStickThatIsNotReset(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := watch(t, Config{Heal: func(s Stick) bool { return s.Path != "1-1.4" }})
		c.reach = func(s Stick) *Device { t.Errorf("%s is reset", s); return Reach(s, c.tree.Sys, c.tree.Dev) }
		online := stick(0)
		online.Interfaces = append(online.Interfaces, usbtest.Interface{Number: 4, Class: "ff/ff/ff", Driver: "qmi_wwan", Net: "wwan0", Up: true})
		c.plug("1-1.3", online)
		c.plug("1-1.4", stick(4))
		if f := c.at("1-1.3", time.Hour); f.Code != "modem_silent" || !f.Online {
			t.Errorf("%+v", f)
		}
		if f := c.at("1-1.4", 0); f.Code != "modem_silent" || f.Online {
			t.Errorf("%+v", f)
		}
	})
}

// A box without the rights says why a silent stick is not helped.
func TestSilentStickThatCannotBeHelped(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := watch(t, Config{Heal: every})
		c.plug("1-1.3", stick(0))
		f := c.at("1-1.3", 90*time.Second)
		if f.Code != "modem_silent" || !strings.Contains(f.Detail, "USB reset: not possible here: this box has no") {
			t.Errorf("%s: %s", f.Code, f.Detail)
		}
		if f = c.at("1-1.3", 2*time.Minute); !strings.Contains(f.Detail, "USB power: not possible here") {
			t.Errorf("%s: %s", f.Code, f.Detail)
		}
	})
}
