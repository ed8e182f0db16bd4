package whole

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/user"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"

	"tillpost/cmd/tillpost/hand"
	"tillpost/modem/usb"
	"tillpost/queue/route"
	"tillpost/webui/api/wire"
)

// diagnosis is what the doctor found on the machine it runs on.
type diagnosis struct {
	Daemon  string    `json:"daemon"` // how it is, in its own words
	Sticks  []patient `json:"sticks"`
	Trouble []trouble `json:"trouble"` // what wants a hand
	Notes   []string  `json:"notes,omitempty"`
}

// patient is one USB stick.
type patient struct {
	USB   string     `json:"usb"`
	ID    string     `json:"id"`
	Name  string     `json:"name"`
	Mode  usb.Mode   `json:"mode"`
	Ports []portView `json:"ports,omitempty"`
	Rungs []rungView `json:"rungs,omitempty"` // what the daemon may do to it when it hangs
}

type portView struct {
	Device    string       `json:"device"`
	Interface int          `json:"interface"`
	Use       usb.Use      `json:"use"`
	Holders   []usb.Holder `json:"holders,omitempty"`
}

type rungView struct {
	Name string `json:"name"`
	Why  string `json:"why,omitempty"` // not empty: not possible here
}

// trouble is one thing, and what helps.
type trouble struct {
	About  string `json:"about"`
	What   string `json:"what"`
	Remedy string `json:"remedy,omitempty"`
}

func (d *diagnosis) trouble(about, what, remedy string) {
	d.Trouble = append(d.Trouble, trouble{about, what, remedy})
}

// system is where the doctor looks: the roots of this machine.
type system struct{ sys, dev, proc, locks, sbin string }

func systemBelow(root string) system {
	at := func(dir string) string { return filepath.Join(root, dir) }
	return system{at("sys"), at("dev"), at("proc"), at("run/lock"), at("usr/sbin")}
}

// doctor looks at the machine it runs on: the daemon, the sticks with their
// ports, who else holds these, and what the box may do to a modem that hangs.
func (t tool) doctor(ctx context.Context, args []string) error {
	flags := hand.FlagSet("doctor")
	root := flags.String("root", "/", "")
	if _, err := hand.Parse(flags, args); err != nil {
		return err
	}
	if t.URL != "" {
		return hand.ErrUse("the doctor looks at the machine it runs on; -url is for others")
	}
	d := diagnosis{Sticks: []patient{}, Trouble: []trouble{}}
	t.examineDaemon(ctx, &d)
	s := systemBelow(*root)
	if err := s.examineSticks(&d); err != nil {
		return err
	}
	s.examinePrograms(&d)
	if os.Geteuid() != 0 {
		d.Notes = append(d.Notes, "who holds a port, and what may be done to a stick, is seen whole by root alone: sudo tillpost doctor")
	}
	if t.JSON {
		if err := t.Raw(d, nil); err != nil {
			return err
		}
	} else {
		t.tell(d)
	}
	switch n := len(d.Trouble); n {
	case 0:
		return nil
	case 1:
		return errors.New("one thing wants a hand")
	default:
		return fmt.Errorf("%d things want a hand", n)
	}
}

// examineDaemon asks it. One that does not answer is trouble, and the rest is
// looked at all the same.
func (t tool) examineDaemon(ctx context.Context, d *diagnosis) {
	status, err := t.Box.Status(ctx)
	if err != nil {
		d.Daemon = "does not answer"
		d.trouble("tillpostd", t.Explain(err), "")
		return
	}
	d.Daemon = status.Status + ": " + status.Reason
	for _, r := range status.Routes {
		switch {
		case r.State == route.Hand || r.State == route.Stopped:
			d.trouble(r.Name, r.Reason, r.Detail)
		case r.State == route.Ready:
			t.examineRoute(ctx, d, r.Name)
		}
	}
}

// examineRoute has the daemon ask a modem what keeps messages from going; what
// cannot be asked that is no modem.
func (t tool) examineRoute(ctx context.Context, d *diagnosis, name string) {
	found, err := t.Box.Examine(ctx, name)
	if p, ok := errors.AsType[*wire.Problem](err); ok && p.Code == "route_cannot" {
		return
	}
	if err != nil {
		d.Notes = append(d.Notes, fmt.Sprintf("%s could not be examined: %v", name, err))
	}
	for _, sentence := range found {
		d.trouble(name, sentence, "")
	}
}

func (s system) examineSticks(d *diagnosis) error {
	sticks, err := usb.Sweep(s.sys, s.dev)
	if err != nil {
		return err
	}
	for _, stick := range sticks {
		p := patient{USB: stick.Path, ID: stick.ID(), Name: stick.Name, Mode: stick.Mode}
		about := "USB " + stick.Path
		switch code, text := stick.Mode.Why(); {
		case stick.Mode == usb.Disk:
			d.trouble(about, "the stick "+text, s.modeSwitch())
		case code != "":
			d.trouble(about, "the stick "+text, stick.Note)
		}
		for _, port := range stick.Ports {
			p.Ports = append(p.Ports, s.examinePort(d, port))
		}
		for _, r := range usb.Reach(stick, s.sys, s.dev).Can() {
			p.Rungs = append(p.Rungs, rungView(r))
		}
		d.Sticks = append(d.Sticks, p)
	}
	if len(sticks) == 0 {
		d.Notes = append(d.Notes, "no modem is plugged in at any USB socket")
	}
	return nil
}

// modeSwitch is what helps a stick that is still a disk.
func (s system) modeSwitch() string {
	if _, err := os.Stat(filepath.Join(s.sbin, "usb_modeswitch")); err != nil {
		return "sudo apt-get install usb-modeswitch, then plug the stick in again"
	}
	return "usb-modeswitch is installed: unplug the stick, wait ten seconds, plug it in again; if it stays a disk, its id is not known there"
}

func (s system) examinePort(d *diagnosis, port usb.Port) portView {
	v := portView{Device: port.Device, Interface: port.Interface, Use: port.Use, Holders: usb.Holders(port.Device, s.proc, s.locks)}
	for _, h := range v.Holders {
		switch {
		case h.Gone:
			d.Notes = append(d.Notes, fmt.Sprintf("%s was left behind by a program that runs no longer (process %d); the daemon takes it over", h.Lock, h.PID))
		case isDaemon(h):
		default:
			remedy := "stop it, or name another modem in the boot file"
			if h.Lock != "" {
				remedy += "; its lock is " + h.Lock
			}
			d.trouble(port.Device, fmt.Sprintf("is held by %s (process %d)", hand.Shorten(h.Command, 80), h.PID), remedy)
		}
	}
	if why := rights(port.Device); why != "" && port.Use != usb.Silent {
		d.trouble(port.Device, why, "give the port to the group dialout (udev), and the daemon's user to that group")
	}
	return v
}

func isDaemon(h usb.Holder) bool {
	program, _, _ := strings.Cut(h.Command, " ")
	return filepath.Base(program) == "tillpostd"
}

// rights says why the daemon's user may not open a port; empty: it may, or the
// port is not there.
func rights(device string) string {
	info, err := os.Stat(device)
	if err != nil {
		return ""
	}
	const forAll, forGroup = 0o006, 0o060
	mode := info.Mode().Perm()
	stat, ok := info.Sys().(*syscall.Stat_t)
	if !ok || mode&forAll == forAll {
		return ""
	}
	group := strconv.Itoa(int(stat.Gid))
	if g, err := user.LookupGroupId(group); err == nil {
		group = g.Name
	}
	if mode&forGroup == forGroup && (group == "dialout" || group == "tillpost") {
		return ""
	}
	return fmt.Sprintf("may not be opened by the daemon's user: it belongs to the group %s, with mode %04o", group, mode)
}

// grabbers are programs that take modems or serial adapters unasked, by the
// name the kernel knows them by.
var grabbers = []struct{ program, what, remedy string }{
	{"ModemManager", "sends commands of its own to modems, between ours", "sudo systemctl disable --now ModemManager"},
	{"brltty", "takes serial adapters for braille displays", "sudo apt-get remove brltty"},
	{"gpsd", "takes serial adapters for GPS receivers", "sudo systemctl disable --now gpsd.socket gpsd"},
	{"smsd", "is another SMS gateway (smstools)", "sudo systemctl disable --now smstools"},
	{"gammu-smsd", "is another SMS gateway", "sudo systemctl disable --now gammu-smsd"},
	{"wvdial", "dials out through modems", "stop it"},
}

func (s system) examinePrograms(d *diagnosis) {
	running := map[string]int{}
	for _, p := range usb.Programs(s.proc) {
		running[p.Name] = p.PID
	}
	for _, g := range grabbers {
		if pid := running[g.program]; pid != 0 {
			d.trouble(g.program, fmt.Sprintf("runs here (process %d) and %s", pid, g.what), g.remedy)
		}
	}
}

// uses of a port, in words.
var uses = map[usb.Use]string{
	usb.Commands: "AT commands",
	usb.Perhaps:  "may take AT commands: it is asked",
	usb.Silent:   "diagnostics, GPS or the like: never opened",
}

func (t tool) tell(d diagnosis) {
	fmt.Fprintf(t.Out, "tillpostd %s\n", d.Daemon)
	for _, p := range d.Sticks {
		fmt.Fprintf(t.Out, "\nUSB %s  %s (%s)\n", p.USB, p.Name, p.ID)
		if _, text := p.Mode.Why(); text != "" {
			fmt.Fprintf(t.Out, "  it %s\n", text)
		}
		rows := hand.NewTable(t.Out)
		for _, port := range p.Ports {
			by := ""
			if len(port.Holders) > 0 {
				h := port.Holders[0]
				by = fmt.Sprintf("held by %s (process %d)", hand.Shorten(h.Command, 60), h.PID)
			}
			rows.Row("  "+port.Device, fmt.Sprint("interface ", port.Interface), uses[port.Use], by)
		}
		for _, r := range p.Rungs {
			may := "possible"
			if r.Why != "" {
				may = "not possible here: " + r.Why
			}
			rows.Row("  "+r.Name, "if it hangs", may)
		}
		rows.Flush() // to a buffer of ours: what is wrong with stdout shows at the end
	}
	if len(d.Trouble) > 0 {
		fmt.Fprint(t.Out, "\nWhat wants a hand:\n")
		for n, tr := range d.Trouble {
			fmt.Fprintf(t.Out, "  %d. %s: %s\n", n+1, tr.About, tr.What)
			if tr.Remedy != "" {
				fmt.Fprintf(t.Out, "     %s\n", tr.Remedy)
			}
		}
	}
	for _, note := range d.Notes {
		fmt.Fprintf(t.Out, "\nnote: %s\n", note)
	}
}
