package systemd

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

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

func TestUnitExposureIsAtMost1_5(t *testing.T) {
	analyze := need(t, "systemd-analyze", "systemd")
	unit, err := filepath.Abs("tillpostd.service")
	if err != nil {
		t.Fatal(err)
	}
	// The threshold is the exposure times ten; above it the exit status is 1.
	out, err := exec.CommandContext(t.Context(), analyze, "--no-pager", "security", "--offline=true", "--threshold=15", unit).CombinedOutput()
	if err != nil {
		t.Fatalf("the unit is open wider than 1.5: %v\n%s", err, out)
	}
	level := regexp.MustCompile(`Overall exposure level for tillpostd\.service: ([0-9.]+)`).FindSubmatch(out)
	if level == nil {
		t.Fatalf("systemd-analyze measured nothing:\n%s", out)
	}
	t.Logf("exposure %s", level[1])
}

func TestUnitIsWellFormed(t *testing.T) {
	analyze := need(t, "systemd-analyze", "systemd")
	text, err := os.ReadFile("tillpostd.service")
	if err != nil {
		t.Fatal(err)
	}
	// verify wants the program to exist; on a box without the package it
	// does not, so a copy of the unit names one that does.
	there, err := exec.LookPath("true")
	if err != nil {
		t.Fatal(err)
	}
	unit := filepath.Join(t.TempDir(), "tillpostd.service")
	if err := os.WriteFile(unit, []byte(strings.ReplaceAll(string(text), "/usr/bin/tillpostd", there)), 0o644); err != nil {
		t.Fatal(err)
	}
	out, err := exec.CommandContext(t.Context(), analyze, "verify", "--man=no", unit).CombinedOutput()
	if err != nil || strings.Contains(string(out), "tillpostd.service:") {
		t.Fatalf("systemd-analyze verify: %v\n%s", err, out)
	}
}

// directives reads a unit as key → values.
func directives(t *testing.T) map[string][]string {
	t.Helper()
	text, err := os.ReadFile("tillpostd.service")
	if err != nil {
		t.Fatal(err)
	}
	d := make(map[string][]string)
	for line := range strings.Lines(string(text)) {
		line = strings.TrimSpace(line)
		key, value, ok := strings.Cut(line, "=")
		if ok && !strings.HasPrefix(line, "#") {
			d[key] = append(d[key], value)
		}
	}
	return d
}

// What appliance-facts §4 found by running it: the directives that decide
// whether a modem plugged in after the start can be opened.
func TestUnitLeavesSerialPortsUsable(t *testing.T) {
	d := directives(t)
	must := map[string][]string{
		"Type":               {"notify"},
		"DevicePolicy":       {"closed"},
		"PrivateDevices":     {"no"}, // yes hides every tty
		"PrivateUsers":       {"no"}, // yes hides who is at the socket
		"StateDirectoryMode": {"0700"},
		"ReadWritePaths":     {"-/run/lock"}, // or nobody sees that we hold a port
		// By number: names allow nothing while the driver is not loaded.
		"DeviceAllow": {"char-188 rw", "char-166 rw", "char-189 rw"},
	}
	for key, want := range must {
		if !slices.Equal(d[key], want) {
			t.Errorf("%s is %q, must be %q", key, d[key], want)
		}
	}
	for _, key := range []string{"SocketBindDeny", "PrivateNetwork", "TemporaryFileSystem", "ConfigurationDirectory"} {
		if d[key] != nil {
			t.Errorf("%s=%s: the daemon could not do its work", key, d[key])
		}
	}
	families := strings.Fields(strings.Join(d["RestrictAddressFamilies"], " "))
	for _, want := range []string{"AF_UNIX", "AF_INET", "AF_INET6", "AF_NETLINK"} {
		if !slices.Contains(families, want) {
			t.Errorf("RestrictAddressFamilies lacks %s", want)
		}
	}
	if d["WatchdogSec"] == nil {
		t.Error("no watchdog: a daemon that hangs would stay so")
	}
}

func TestUserAndFolders(t *testing.T) {
	sysusers, tmpfiles := need(t, "systemd-sysusers", "systemd"), need(t, "systemd-tmpfiles", "systemd")
	root := t.TempDir()
	for _, dir := range []string{"etc", "run"} {
		if err := os.MkdirAll(filepath.Join(root, dir), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	// As Debian's base-passwd has it before our package comes.
	if err := os.WriteFile(filepath.Join(root, "etc/group"), []byte("root:x:0:\ndialout:x:20:\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	run := func(program, file string, args ...string) {
		t.Helper()
		path, err := filepath.Abs(file)
		if err != nil {
			t.Fatal(err)
		}
		args = append(args, "--root="+root, path)
		if out, err := exec.CommandContext(t.Context(), program, args...).CombinedOutput(); err != nil {
			t.Fatalf("%s %s: %v\n%s", program, file, err, out)
		}
	}
	run(sysusers, "tillpost.sysusers")
	group, err := os.ReadFile(filepath.Join(root, "etc/group"))
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(string(group), "dialout:x:20:tillpost\n") {
		t.Errorf("the user is not of dialout:\n%s", group)
	}
	if os.Geteuid() != 0 {
		return // only root can give folders to another user
	}
	run(tmpfiles, "tillpost.tmpfiles", "--create")
	for dir, mode := range map[string]os.FileMode{"etc/tillpost": 0o750, "var/lib/tillpost": 0o700} {
		info, err := os.Stat(filepath.Join(root, dir))
		if err != nil || info.Mode().Perm() != mode {
			t.Errorf("%s: %v %v, want mode %v", dir, info, err, mode)
		}
	}
}
