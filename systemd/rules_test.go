package systemd

import (
	"encoding/csv"
	"fmt"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// rule is one line of a udev file: what must match, and what is then set.
type rule struct {
	matches map[string][]string // key → alternatives
	sets    map[string]string
}

// term is KEY{attr} operator "value" (udev(7)).
var term = regexp.MustCompile(`^([A-Z]+(?:\{[A-Za-z_.]+\})?)(==|!=|\+=|:=|=)"([^"]*)"$`)

func readRules(t *testing.T) (rules []rule) {
	t.Helper()
	text, err := os.ReadFile("70-tillpost.rules")
	if err != nil {
		t.Fatal(err)
	}
	for n, line := range strings.Split(string(text), "\n") {
		if line = strings.TrimSpace(line); line == "" || line[0] == '#' {
			continue
		}
		r := rule{matches: map[string][]string{}, sets: map[string]string{}}
		for _, part := range strings.Split(line, ", ") {
			m := term.FindStringSubmatch(part)
			if m == nil {
				t.Fatalf("line %d: %q is no term of udev", n+1, part)
			}
			switch m[2] {
			case "==":
				r.matches[m[1]] = strings.Split(m[3], "|")
			case "=":
				r.sets[m[1]] = m[3]
			default:
				t.Fatalf("line %d: this test does not know the operator %s", n+1, m[2])
			}
		}
		rules = append(rules, r)
	}
	return rules
}

// follow is udev on this file: what is set for a device with these properties.
func follow(t *testing.T, rules []rule, device map[string]string) map[string]string {
	t.Helper()
	set, until := map[string]string{}, ""
	for _, r := range rules {
		if until != "" {
			if r.sets["LABEL"] == until {
				until = ""
			} else {
				continue
			}
		}
		ok := true
		for key, want := range r.matches {
			ok = ok && slices.ContainsFunc(want, func(pattern string) bool { return matches(t, pattern, device[key]) })
		}
		if !ok {
			continue
		}
		for key, value := range r.sets {
			if key != "LABEL" && key != "GOTO" {
				set[key] = value
			}
		}
		until = r.sets["GOTO"]
	}
	if until != "" {
		t.Errorf("%v: GOTO=%q leads nowhere", device, until)
	}
	return set
}

// matches knows of udev's patterns what the file uses.
func matches(t *testing.T, pattern, value string) bool {
	t.Helper()
	form := strings.NewReplacer("[0-9]", "[0-9]", "*", ".*").Replace(pattern)
	return regexp.MustCompile("^(?:" + form + ")$").MatchString(value)
}

func usbDevice(id string) map[string]string {
	vendor, product, _ := strings.Cut(id, ":")
	return map[string]string{"ACTION": "add", "SUBSYSTEM": "usb", "ENV{DEVTYPE}": "usb_device", "ATTR{bDeviceClass}": "00",
		"ATTR{idVendor}": vendor, "ATTR{idProduct}": product}
}

// Every modem of the table may be reset by the daemon, and is kept from
// ModemManager; what is no modem is nobody's.
func TestRulesKnowEveryModem(t *testing.T) {
	rules := readRules(t)
	f, err := os.Open("../modem/usb/usb_modems.csv")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	table, err := csv.NewReader(f).ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	modems := map[string]bool{} // by id, and by vendor whether it has any
	for _, row := range table[1:] {
		id, note := row[0]+":"+row[1], row[8]
		set := follow(t, rules, usbDevice(id))
		switch {
		case note == "ignore", strings.HasPrefix(note, "not proof of a modem"):
			if len(set) > 0 {
				t.Errorf("%s (%s) is no modem and gets %v", id, row[2], set)
			}
		case row[3] == "none": // a router: there is nothing to send through it
		case set["GROUP"] != "tillpost" || set["MODE"] != "0664" || set["ENV{ID_MM_DEVICE_IGNORE}"] != "1":
			t.Errorf("%s (%s) gets %v", id, row[2], set)
		default:
			modems[id], modems[row[0]] = true, true
		}
	}
	// The other way round: no line is about what the table does not know.
	for _, r := range rules {
		for _, vendor := range r.matches["ATTR{idVendor}"] {
			if !modems[vendor] {
				t.Errorf("vendor %s is not in the table", vendor)
			}
			for _, product := range r.matches["ATTR{idProduct}"] {
				if !modems[vendor+":"+product] {
					t.Errorf("%s:%s is not in the table", vendor, product)
				}
			}
		}
	}
}

func TestRulesForHubsAndPorts(t *testing.T) {
	rules := readRules(t)
	hub := usbDevice("1d6b:0002")
	hub["ATTR{bDeviceClass}"] = "09"
	gone := usbDevice("12d1:1506")
	gone["ACTION"] = "remove"
	port := func(name, above string) map[string]string {
		return map[string]string{"ACTION": "add", "SUBSYSTEM": "tty", "KERNEL": name, "SUBSYSTEMS": above}
	}
	part := usbDevice("12d1:1506")
	part["ENV{DEVTYPE}"] = "usb_interface"
	for name, tc := range map[string]struct {
		device map[string]string
		want   string
	}{
		"a hub":                     {hub, "tillpost 0664"},
		"a port of a modem":         {port("ttyUSB12", "usb"), "dialout 0660"},
		"an ACM port":               {port("ttyACM0", "usb"), "dialout 0660"},
		"a port of the board":       {port("ttyAMA0", "amba"), " "},
		"a console":                 {port("tty1", ""), " "},
		"a keyboard":                {usbDevice("046d:c31c"), " "},
		"a keyboard of Dell":        {usbDevice("413c:2107"), " "},
		"what is pulled out":        {gone, " "},
		"an interface of a modem":   {part, " "},
		"a modem nobody wrote down": {usbDevice("12d1:ffff"), "tillpost 0664"},
	} {
		set := follow(t, rules, tc.device)
		if got := fmt.Sprint(set["GROUP"], " ", set["MODE"]); got != tc.want {
			t.Errorf("%s gets %q, want %q", name, got, tc.want)
		}
	}
}
