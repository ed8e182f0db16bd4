package usb

import (
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"go.uber.org/goleak"

	"tillpost/modem/usb/usbtest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func serial(number int, class, tty string) usbtest.Interface {
	return usbtest.Serial(number, class, tty)
}

func bare(number int, class, driver string) usbtest.Interface {
	return usbtest.Interface{Number: number, Class: class, Driver: driver}
}

func withInterrupt(i usbtest.Interface) usbtest.Interface {
	i.Interrupt = true
	return i
}

// families are sticks as they show themselves, with where the facts are from.
var families = []struct {
	name   string
	device usbtest.Device
	mode   Mode
	try    []int // interfaces in the order in which they may be asked; all others are never written to
	known  []int // … of these, the ones that need no asking around
}{
	{ // field-notes §1.1.3: protocol 12 is PCUI, 10 PPP, 13 diagnostics, 14 GPS
		name: "Huawei with 4G protocol numbers",
		device: usbtest.Device{ID: "12d1:1506", Maker: "HUAWEI", Model: "E3372", Interfaces: []usbtest.Interface{
			serial(0, "ff/02/10", "ttyUSB0"), serial(1, "ff/02/13", "ttyUSB1"), serial(2, "ff/02/12", "ttyUSB2"),
			serial(3, "ff/02/14", "ttyUSB3"), bare(4, "ff/02/16", "huawei_cdc_ncm"), bare(5, "08/06/50", "usb-storage")}},
		mode: Modem, try: []int{2, 0}, known: []int{2},
	},
	{ // … 02 is PCUI, 01 PPP, 03 diagnostics of the 3G sticks; the id is in no table
		name: "Huawei that nobody wrote down, with 3G protocol numbers",
		device: usbtest.Device{ID: "12d1:15ff", Maker: "HUAWEI", Interfaces: []usbtest.Interface{
			serial(0, "ff/01/01", "ttyUSB0"), serial(1, "ff/01/03", "ttyUSB1"), serial(2, "ff/01/02", "ttyUSB2")}},
		mode: Modem, try: []int{2, 0}, known: []int{2},
	},
	{ // §1.1.3: no interface with protocol 02 or 12 but serial interfaces: probe, the last first
		name: "Huawei of the protocol table without protocol numbers",
		device: usbtest.Device{ID: "12d1:1404", Interfaces: []usbtest.Interface{
			withInterrupt(serial(0, "ff/ff/ff", "ttyUSB0")), serial(2, "ff/ff/ff", "ttyUSB1"), serial(3, "ff/ff/ff", "ttyUSB2")}},
		mode: Modem, try: []int{3, 2, 0},
	},
	{
		name: "Huawei E1750, the last serial interface first",
		device: usbtest.Device{ID: "12d1:1406", Interfaces: []usbtest.Interface{
			serial(0, "ff/ff/ff", "ttyUSB0"), serial(1, "ff/ff/ff", "ttyUSB1"), bare(2, "ff/ff/ff", "")}},
		mode: Modem, try: []int{1, 0},
	},
	{
		name: "Huawei E173, interface 3 by number",
		device: usbtest.Device{ID: "12d1:140c", Interfaces: []usbtest.Interface{
			serial(0, "ff/ff/ff", "ttyUSB0"), bare(1, "ff/ff/ff", ""), serial(2, "ff/ff/ff", "ttyUSB1"), serial(3, "ff/ff/ff", "ttyUSB2")}},
		mode: Modem, try: []int{3, 0}, known: []int{3},
	},
	{ // §1.1.3: 1001: 2, or 1 when there are only two
		name: "Huawei E169 with two ports only",
		device: usbtest.Device{ID: "12d1:1001", Interfaces: []usbtest.Interface{
			serial(0, "ff/ff/ff", "ttyUSB0"), serial(1, "ff/ff/ff", "ttyUSB1"), bare(2, "08/06/50", "usb-storage")}},
		mode: Modem, try: []int{1, 0}, known: []int{1},
	},
	{ // the table names interface 4; where that is absent: probe
		name: "Huawei E153 without the interface of the table",
		device: usbtest.Device{ID: "12d1:14ac", Interfaces: []usbtest.Interface{
			bare(0, "02/0e/00", "cdc_mbim"), serial(2, "ff/ff/ff", "ttyUSB0"), serial(3, "ff/ff/ff", "ttyUSB1")}},
		mode: Modem, try: []int{3, 2},
	},
	{ // §1.1.4: 0 diagnostics, 1 NMEA, 2 AT, 3 AT and modem
		name: "Quectel EC25",
		device: usbtest.Device{ID: "2c7c:0125", Maker: "Quectel", Model: "EC25", Interfaces: []usbtest.Interface{
			serial(0, "ff/ff/ff", "ttyUSB4"), serial(1, "ff/00/00", "ttyUSB5"), serial(2, "ff/00/00", "ttyUSB6"),
			serial(3, "ff/00/00", "ttyUSB7"), bare(4, "ff/ff/ff", "qmi_wwan")}},
		mode: Modem, try: []int{2, 3}, known: []int{2},
	},
	{ // §1.1.4: 0 diagnostics, 1 NMEA, 2 AT, 3 modem, 4 audio
		name: "SIMCom SIM7600",
		device: usbtest.Device{ID: "1e0e:9001", Interfaces: []usbtest.Interface{
			serial(0, "ff/ff/ff", "ttyUSB0"), serial(1, "ff/00/00", "ttyUSB1"), serial(2, "ff/00/00", "ttyUSB2"),
			serial(3, "ff/00/00", "ttyUSB3"), serial(4, "ff/00/00", "ttyUSB4")}},
		mode: Modem, try: []int{2, 3}, known: []int{2},
	},
	{ // §1.1.4: 0 diagnostics, 2 NMEA, 3 AT
		name: "Sierra MC7455",
		device: usbtest.Device{ID: "1199:9071", Interfaces: []usbtest.Interface{
			serial(0, "ff/ff/ff", "ttyUSB0"), serial(2, "ff/00/00", "ttyUSB1"), serial(3, "ff/00/00", "ttyUSB2"), bare(8, "ff/ff/ff", "qmi_wwan")}},
		mode: Modem, try: []int{3}, known: []int{3},
	},
	{ // §1.1.5
		name: "Telit LE910C1",
		device: usbtest.Device{ID: "1bc7:1201", Interfaces: []usbtest.Interface{
			serial(0, "ff/ff/ff", "ttyUSB0"), serial(2, "ff/ff/ff", "ttyUSB1"), serial(4, "ff/ff/ff", "ttyUSB2"), serial(5, "ff/ff/ff", "ttyUSB3")}},
		mode: Modem, try: []int{4, 5}, known: []int{4},
	},
	{ // table: CDC-ACM; 6, 8, 10, 12 not for commands
		name: "u-blox SARA-U2",
		device: usbtest.Device{ID: "1546:1102", Interfaces: []usbtest.Interface{
			withInterrupt(usbtest.Interface{Number: 0, Class: "02/02/01", Driver: "cdc_acm", TTY: "ttyACM0"}), bare(1, "0a/00/00", "cdc_acm"),
			{Number: 2, Class: "02/02/01", Driver: "cdc_acm", TTY: "ttyACM1"}, {Number: 6, Class: "02/02/01", Driver: "cdc_acm", TTY: "ttyACM3"}}},
		mode: Modem, try: []int{0, 2}, known: []int{0},
	},
	{ // not established: the one with an interrupt endpoint, then from the end
		name: "a modem of the kernel's driver that nobody wrote down",
		device: usbtest.Device{ID: "abcd:0001", Maker: "Nobody", Model: "Modem", Interfaces: []usbtest.Interface{
			serial(0, "ff/ff/ff", "ttyUSB0"), serial(1, "ff/ff/ff", "ttyUSB1"), withInterrupt(serial(2, "ff/ff/ff", "ttyUSB2")), serial(3, "ff/ff/ff", "ttyUSB3")}},
		mode: Modem, try: []int{2, 3, 1, 0},
	},
	{
		name: "ZTE MF110 before its switch",
		device: usbtest.Device{ID: "19d2:2000", Maker: "ZTE", Interfaces: []usbtest.Interface{
			bare(0, "08/06/50", "usb-storage")}},
		mode: Disk,
	},
	{ // the same id before and after the switch
		name:   "Huawei E169 before its switch",
		device: usbtest.Device{ID: "12d1:1001", Interfaces: []usbtest.Interface{bare(0, "08/06/50", "usb-storage"), bare(1, "08/06/50", "usb-storage")}},
		mode:   Disk,
	},
	{
		name:   "a ZTE disk that nobody wrote down",
		device: usbtest.Device{ID: "19d2:fffd", Interfaces: []usbtest.Interface{bare(0, "08/06/50", "usb-storage")}},
		mode:   Disk,
	},
	{ // §1.1.8
		name: "Huawei HiLink",
		device: usbtest.Device{ID: "12d1:14dc", Maker: "HUAWEI_MOBILE", Interfaces: []usbtest.Interface{
			bare(0, "02/06/00", "cdc_ether"), bare(1, "0a/06/00", "cdc_ether"), bare(2, "08/06/50", "usb-storage")}},
		mode: Router,
	},
	{
		name: "ZTE router with RNDIS, in no table",
		device: usbtest.Device{ID: "19d2:1405", Maker: "ZTE", Interfaces: []usbtest.Interface{
			bare(0, "e0/01/03", "rndis_host"), bare(1, "0a/00/00", "rndis_host")}},
		mode: Router,
	},
	{
		name: "Quectel set up for MBIM alone",
		device: usbtest.Device{ID: "2c7c:0125", Interfaces: []usbtest.Interface{
			bare(0, "02/0e/00", "cdc_mbim"), bare(1, "0a/00/02", "cdc_mbim")}},
		mode: Closed,
	},
	{ // a known composition without the interfaces of the table: what is left is diagnostics
		name: "Quectel that shows diagnostics only",
		device: usbtest.Device{ID: "2c7c:0125", Interfaces: []usbtest.Interface{
			serial(0, "ff/ff/ff", "ttyUSB0"), serial(1, "ff/00/00", "ttyUSB1")}},
		mode: Closed,
	},
	{
		name: "Quectel on a kernel without its driver",
		device: usbtest.Device{ID: "2c7c:0125", Interfaces: []usbtest.Interface{
			bare(0, "ff/ff/ff", ""), bare(1, "ff/00/00", ""), bare(2, "ff/00/00", ""), bare(3, "ff/00/00", "")}},
		mode: NoDriver,
	},
	{
		name:   "MultiTech without its firmware",
		device: usbtest.Device{ID: "06e0:f108", Interfaces: []usbtest.Interface{bare(0, "ff/00/00", "")}},
		mode:   NoDriver,
	},
	{
		name: "SIM800 behind an FTDI bridge",
		device: usbtest.Device{ID: "0403:6001", Maker: "FTDI", Interfaces: []usbtest.Interface{
			{Number: 0, Class: "ff/ff/ff", Driver: "ftdi_sio", TTY: "ttyUSB0"}}},
		mode: Adapter, try: []int{0}, known: []int{0},
	},
}

func TestFamilies(t *testing.T) {
	for _, f := range families {
		t.Run(f.name, func(t *testing.T) {
			tree := usbtest.New(t)
			tree.Hub("usb1", "2.00")
			tree.Plug("1-1.3", f.device)
			sticks, err := Sweep(tree.Sys, tree.Dev)
			if err != nil || len(sticks) != 1 {
				t.Fatalf("found %+v, %v", sticks, err)
			}
			s := sticks[0]
			if s.Mode != f.mode || s.Path != "1-1.3" || s.ID() != f.device.ID || s.Name == "" {
				t.Errorf("read as %s in mode %q, want %q", s, s.Mode, f.mode)
			}
			var try, known []int
			for _, p := range s.Candidates() {
				try = append(try, p.Interface)
				if p.Use == Commands {
					known = append(known, p.Interface)
				}
				if filepath.Dir(p.Device) != tree.Dev || !s.Has(p.Device) {
					t.Errorf("port %s", p.Device)
				}
			}
			if !slices.Equal(try, f.try) || !slices.Equal(known, f.known) {
				t.Errorf("may ask interfaces %v, of which %v are known; want %v and %v", try, known, f.try, f.known)
			}
			for _, p := range s.Ports {
				if (p.Use == Silent) == slices.Contains(f.try, p.Interface) {
					t.Errorf("interface %d is for %s", p.Interface, p.Use)
				}
			}
		})
	}
}

func TestWhatIsNoModemIsLeftAlone(t *testing.T) {
	tree := usbtest.New(t)
	tree.Hub("usb1", "2.00")
	tree.Hub("1-1", "2.00")
	for i, d := range []usbtest.Device{
		{ID: "1546:01a7", Maker: "u-blox", Interfaces: []usbtest.Interface{{Class: "02/02/01", Driver: "cdc_acm", TTY: "ttyACM0"}}},                   // GNSS
		{ID: "04b8:0202", Maker: "EPSON", Model: "TM-T88", Interfaces: []usbtest.Interface{{Class: "07/01/02", Driver: "usblp"}}},                     // receipts
		{ID: "05e0:1701", Maker: "Symbol", Model: "Scanner", Interfaces: []usbtest.Interface{{Class: "02/02/01", Driver: "cdc_acm", TTY: "ttyACM1"}}}, // scanner
		{ID: "046d:c31c", Interfaces: []usbtest.Interface{{Class: "03/01/01", Driver: "usbhid"}}},                                                     // keyboard
		{ID: "0bda:8153", Interfaces: []usbtest.Interface{{Class: "02/06/00", Driver: "cdc_ether"}}},                                                  // network card
		{ID: "0781:5567", Interfaces: []usbtest.Interface{{Class: "08/06/50", Driver: "usb-storage"}}},                                                // pen drive
		{ID: "413c:2107", Interfaces: []usbtest.Interface{{Class: "03/01/01", Driver: "usbhid"}}},                                                     // a maker of modems, too
	} {
		tree.Plug(fmt.Sprintf("1-1.%d", i+1), d)
	}
	sticks, err := Sweep(tree.Sys, tree.Dev)
	if err != nil || len(sticks) != 0 {
		t.Errorf("taken for sticks: %v, %v", sticks, err)
	}
}

func TestSweepOfABoxWithoutUSB(t *testing.T) {
	if sticks, err := Sweep(t.TempDir(), t.TempDir()); err != nil || sticks != nil {
		t.Errorf("%v, %v", sticks, err)
	}
}

func TestSticksAreListedBySocket(t *testing.T) {
	tree := usbtest.New(t)
	for _, path := range []string{"1-1.10", "2-1", "1-1.2", "10-1", "1-1.2.1"} {
		tree.Plug(path, usbtest.Device{ID: "19d2:2000", Interfaces: []usbtest.Interface{bare(0, "08/06/50", "")}})
	}
	sticks, err := Sweep(tree.Sys, tree.Dev)
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, s := range sticks {
		got = append(got, s.Path)
	}
	if want := "1-1.2 1-1.2.1 1-1.10 2-1 10-1"; strings.Join(got, " ") != want {
		t.Errorf("got %v, want %s", got, want)
	}
}

// Every row of the table is read, and says one of the things that a row can.
func TestTableIsReadWhole(t *testing.T) {
	count := map[how]int{}
	for id, r := range table() {
		count[r.how]++
		if len(id) != 9 || id[4] != ':' || r.name == "" || r.how == 0 || (r.how == byNumber) != (len(r.listed) > 0) {
			t.Errorf("%s: %+v", id, r)
		}
		if r.how == notYet && r.after && !r.ignore && !strings.Contains(r.note, "firmware") {
			t.Errorf("%s has no port, is no disk, and nothing says why", id)
		}
	}
	for _, h := range []how{byNumber, byProtocol, byAsking, nowhere, notYet} {
		if count[h] == 0 {
			t.Errorf("no row is found %d", h)
		}
	}
	t.Logf("%d ids: %v", len(table()), count)
}
