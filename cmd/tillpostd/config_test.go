package main

import (
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"tillpost/queue/route"
	"tillpost/queue/text"
	"tillpost/smpp"
)

// said returns the problems of a boot file as a person reads them, without
// the file's name.
func said(ps *problems) []string {
	var out []string
	for _, p := range ps.list {
		out = append(out, strings.Replace(p.String(), ps.file, "FILE", 1))
	}
	return out
}

func TestConfigKnowsEveryKeyOfTheContract(t *testing.T) {
	file := filepath.Join(t.TempDir(), "tillpost.toml")
	data, err := os.ReadFile("testdata/contract.toml")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"pin", "smpp-password", "smtp-password"} {
		if err := os.WriteFile(filepath.Join(filepath.Dir(file), name), []byte("12345678\n"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	cfg, ps := parseConfig(file, data)
	for _, p := range ps.list {
		// What this build lacks is named; nothing else may be wrong with it.
		if !p.mild && !strings.Contains(p.text, "this build") {
			t.Errorf("the contract's own example: %v", p)
		}
	}
	if m := cfg.Modems[0]; m.Name != "counter" || m.SendTimeout != 180*time.Second || m.PIN != "12345678" || m.PartsPerMinute != 10 {
		t.Errorf("modem read as %+v", m)
	}
	if s := cfg.SMPP[0]; s.Password != "12345678" || s.Window != 10 || s.Validity != 24*time.Hour || s.TLS {
		t.Errorf("smpp read as %+v", s)
	}

	to, err := text.ParseNumber("0612345678", "NL")
	if got := cfg.tariffs.Price(to, "sms", 2).String(); err != nil || got != "0.09 EUR" {
		t.Errorf("two parts to %v cost %q, %v", to, got, err)
	}

	// Both ways: a field of the schema that neither the contract nor the README
	// shows would be a name nobody was told about.
	beside := []string{"modem.pin", "smpp.password", "email.password"} // inline secrets
	readme, err := os.ReadFile("../../README.md")
	if err != nil {
		t.Fatal(err)
	}
	for section, keys := range map[string][]string{
		"text":    {"ref_bits", "cedilla", "shift", "locking"},
		"modem":   {"balance", "balance_every", "balance_pattern", "balance_below", "self_test_every", "self_test_number", "store_first"},
		"smpp":    {"message_reference", "send_timeout", "tls_name", "tls_ca_file", "service_type", "coding_gsm7", "coding_ucs2", "tlvs", "codes", "validity_format"},
		"limits":  {"repeat", "marketing_per_day", "marketing_per_month", "reroute_after", "short_codes"},
		"routing": {"hours", "max_price"},
		"consent": {"till_checks"},
		"email":   {"tls", "ca_file", "hello", "reply_to", "unsubscribe", "lanes", "messages_per_minute", "send_timeout", "pool", "fallback", "forward_inbox"},
	} {
		for _, key := range keys {
			if !strings.Contains(string(readme), "\n    "+key+" ") {
				t.Errorf("the README does not show %s.%s", section, key)
			}
			beside = append(beside, section+"."+key)
		}
	}
	lines := keyLines(string(data))
	shown := string(data)
	var walk func(path string, v reflect.Type)
	walk = func(path string, v reflect.Type) {
		for v.Kind() == reflect.Pointer || v.Kind() == reflect.Slice {
			v = v.Elem()
		}
		if v.Kind() != reflect.Struct {
			if _, ok := lines[path]; !ok && !strings.Contains(shown, lastKey("."+path)) &&
				!slices.Contains(beside, withoutIndexes(path)) {
				t.Errorf("schema key %s is neither in the contract nor in the README", path)
			}
			return
		}
		for tag, i := range fields(v) {
			walk(join(path, tag), v.Field(i).Type)
		}
	}
	walk("", reflect.TypeFor[Config]())
}

func TestConfigDefaultsAreValid(t *testing.T) {
	cfg, ps := loadConfig(filepath.Join(t.TempDir(), "absent.toml"))
	if len(ps.list) > 0 {
		t.Fatalf("a box without a file has problems: %q", said(ps))
	}
	if cfg.DataDir != "/var/lib/tillpost" || !slices.Equal(cfg.Listen, []string{"127.0.0.1:8080"}) || len(cfg.Modems) != 0 {
		t.Errorf("defaults are %+v", cfg)
	}
}

// smppFile is an SMSC of which nothing is wrong, in four lines.
const smppFile = "[[smpp]]\nname = \"o\"\naddr = \"127.0.0.1:2775\"\nsystem_id = \"s\"\n"

func TestConfigProblems(t *testing.T) {
	tests := []struct {
		name string
		file string
		want []string // each a fragment of one line, in order
	}{
		{"unknown key names the nearest", "data_dri = \"/x\"\n",
			[]string{`FILE:1: data_dri: this key is not known; did you mean "data_dir"?`}},
		{"unknown table names the nearest", "\n[limts]\nmax_parts = 3\n",
			[]string{`FILE:2: limts: this key is not known; did you mean "limits"?`}},
		{"key in the wrong place names the right one", "queue_max = 5\n",
			[]string{`FILE:1: queue_max: this key is not known here; it belongs below [limits]`}},
		{"top key below a table", "[limits]\nhostnames = []\n",
			[]string{`FILE:2: limits.hostnames: this key is not known here; it belongs at the top`}},
		{"every problem at once, by line", "listen = \"127.0.0.1:8080\"\ncountry = \"nl\"\n[limits]\nmax_parts = \"six\"\nqueue_max = 0\n",
			[]string{`FILE:1: listen: is a text, must be a list`, `FILE:2: country: "nl" is not a country`,
				`FILE:4: limits.max_parts: is a text, must be a whole number`, `FILE:5: limits.queue_max: is 0, must be from 1`}},
		{"the second of two tables", "[[modem]]\nname = \"a\"\nport = \"/dev/null\"\n\n[[modem]]\nname = \"a\"\nport = \"ttyUSB1\"\n",
			[]string{`FILE:6: modem.name: "a" is the name of line 2 too`, `FILE:7: modem.port: "ttyUSB1" is not a full path`}},
		{"a missing key is reported at its table", "\n[[modem]]\nport = \"/dev/null\"\n",
			[]string{`FILE:2: modem.name: "" cannot be the name of a route`}},
		{"a modem told twice", "[[modem]]\nname = \"a\"\nport = \"/dev/null\"\nimei = \"490154203237518\"\n",
			[]string{`FILE:1: modem: must say which modem, by exactly one of`}},
		{"two names for one modem", "[[modem]]\nname = \"a\"\nimei = \"490154203237518\"\n[[modem]]\nname = \"b\"\nimei = \"490154203237518\"\n[[modem]]\nname = \"c\"\nusb = \"1-1.3\"\n[[modem]]\nname = \"d\"\nusb = \"1-1.3\"\n",
			[]string{`FILE:6: modem.imei: "490154203237518" is the IMEI of line 3 too`, `FILE:12: modem.usb: "1-1.3" is the socket of line 9 too`}},
		{"an IMEI and a socket that are none", "[[modem]]\nname = \"a\"\nimei = \"12345\"\n[[modem]]\nname = \"b\"\nusb = \"ttyUSB2\"\n",
			[]string{`FILE:3: modem.imei: is not valid: an IMEI has 15 digits`, `FILE:6: modem.usb: is not valid: a USB path looks like 1-1.3`}},
		{"a port that does not exist is only a warning", "[[modem]]\nname = \"a\"\nport = \"/dev/ttyNONE9\"\n",
			[]string{`warning: FILE:3: modem.port: /dev/ttyNONE9 is not there now; plug the modem in`}},
		{"PIN inline warns and is not repeated", "[[modem]]\nname = \"a\"\nport = \"/dev/null\"\npin = \"12ab\"\n",
			[]string{`FILE:4: modem.pin: is not valid: a PIN has 4 to 8 digits`, `warning: FILE:4: modem.pin: stands in this file in plain sight`}},
		{"PIN as a number", "[[modem]]\nname = \"a\"\nport = \"/dev/null\"\npin = 1234\n",
			[]string{`FILE:4: modem.pin: is a number, must be text in quotes`}},
		{"secret file missing", "[[smpp]]\nname = \"o\"\naddr = \"127.0.0.1:2775\"\nsystem_id = \"s\"\npassword_file = \"nowhere\"\n",
			[]string{`FILE:5: smpp.password_file: `}},
		{"a balance and a self-test that cannot work", "[[modem]]\nname = \"a\"\nport = \"/dev/null\"\nbalance = \"*21#\"\nbalance_every = \"1m\"\nself_test_every = \"5m\"\n[[modem]]\nname = \"b\"\nport = \"/dev/zero\"\nbalance = \"*100#\"\nbalance_pattern = \"(\"\nstore_first = true\n",
			[]string{`FILE:4: modem.balance: this one changes settings`, `FILE:5: modem.balance_every: is 1, must be at least 10 minutes`, `FILE:6: modem.self_test_every: is 5, must be at least 60 minutes`,
				`FILE:11: modem.balance_pattern: error parsing regexp`, `FILE:12: modem.store_first: needs the self-test`}},
		{"duration without unit", "[[modem]]\nname = \"a\"\nport = \"/dev/null\"\nsend_timeout = \"180\"\n",
			[]string{`FILE:4: modem.send_timeout: "180" is not a time with its unit`}},
		{"smpp address, word and length", "[[smpp]]\nname = \"o\"\naddrs = [\"example\"]\nsystem_id = \"0123456789abcdef\"\nbind = \"transciever\"\n",
			[]string{`FILE:3: smpp.addrs: "example" is not an address`, `FILE:4: smpp.system_id: has 16 characters, at most 15 are possible`,
				`FILE:5: smpp.bind: "transciever" is not one of transceiver, pair; did you mean "transceiver"?`}},
		{"an SMSC that could not start", smppFile + "source = \"Bakkerij van Dam\"\ntlvs = [\"0x1400\", \"0x1401=6g\", \"0x1402=01\", \"0x1402=02\"]\ncodes = [\"0x401=never\", \"0x402=retry\", \"1026=reject\"]\nservice_type = \"CELLULAR\"\ncoding_ucs2 = 0\nvalidity_format = \"Relative\"\nvalidity = \"1m\"\n",
			[]string{`FILE:5: smpp.source: the sender "Bakkerij van Dam" has 16 characters; a phone shows at most 11`,
				`FILE:6: smpp.tlvs: "0x1400" is no optional parameter; write its tag and its octets in hex`, `FILE:6: smpp.tlvs: "0x1401=6g" is no`, `FILE:6: smpp.tlvs: 0x1402 is given twice`,
				`FILE:7: smpp.codes: "0x401=never" is no meaning of a status; write`, `FILE:7: smpp.codes: 0x402 is given twice`,
				`FILE:8: smpp.service_type: has 8 characters, at most 5`, `FILE:9: smpp.coding_ucs2: is 0, must be from 1 to 255`,
				`FILE:10: smpp.validity_format: "Relative" is not one of relative, absolute, none`, `FILE:11: smpp.validity: is 1, must be at least 5 minutes, or "0s"`}},
		{"a parameter that is the route's own", smppFile + "tlvs = [\"0x0424=61\"]\n",
			[]string{`FILE:5: smpp.tlvs: 0x0424 is set for each part`}},
		{"TLS that is off, and an authority that is none", smppFile + "tls_name = \"sms.example\"\n" + strings.ReplaceAll(smppFile, "\"o\"", "\"p\"") + "tls = true\ntls_name = \"sms example\"\ntls_ca_file = \"none.pem\"\n",
			[]string{`FILE:5: smpp.tls_name: is of no use without TLS`, `FILE:11: smpp.tls_name: "sms example" is not a host name`, `FILE:12: smpp.tls_ca_file: `}},
		{"a password longer than the specification is only a warning", smppFile + "password = \"fourteen-chars\"\n",
			[]string{`warning: FILE:5: smpp.password: has 14 characters, SMPP 3.4 allows 8`, `warning: FILE:5: smpp.password: stands in this file`}},
		{"a password that no SMSC can be given", smppFile + "password = \"" + strings.Repeat("x", 64) + "\"\n",
			[]string{`FILE:5: smpp.password: has 64 characters, at most 63`, `warning: FILE:5: smpp.password: stands in this file`}},
		{"no words that are empty", "[text]\nshift = \"klingon\"\n", []string{`FILE:2: text.shift: "klingon" is not one of "", turkish`}},
		{"syntax", "data_dir = \"/x\nlisten = []\n", []string{`FILE:1: data_dir: `}},
		{"no listener", "listen = []\n", []string{`FILE:1: listen: is empty`}},
		{"time zone", "timezone = \"Amsterdam\"\n", []string{`FILE:1: timezone: "Amsterdam" is not a time zone`}},
		{"hours", "[[routing]]\nhours = \"8 to 5\"\npool = \"sms\"\n", []string{`FILE:2: routing.hours: "8 to 5" is no part of the day`}},
		{"price of a rule", "[[routing]]\nmax_price = \"cheap\"\npool = \"sms\"\n", []string{`FILE:2: routing.max_price: "cheap" is not an amount`}},
		{"too soon away", "[limits]\nreroute_after = \"5s\"\n", []string{`FILE:2: limits.reroute_after: is 5s, must be at least`}},
		{"size", "[limits]\nmin_free = \"lots\"\n", []string{`FILE:2: limits.min_free: "lots" is not a size`}},
		{"every problem of e-mail", "[email]\nhost = \"mail example\"\nport = 70000\nuser = \"shop\"\npassword_file = \"none\"\nfrom = \"Shop\"\ntls = \"none\"\nunsubscribe = \"http://x\"\nlanes = 99\npool = \"sms\"\nfallback = [\"failed\", \"expired\"]\nca_file = \"none.pem\"\n",
			[]string{`FILE:2: email.host: "mail example" is not a host name`, `FILE:3: email.port: is 70000`, `FILE:5: email.password_file: `, `FILE:6: email.from: "Shop" is not an address`,
				`FILE:7: email.tls: with "none" the password would travel in plain sight`, `FILE:8: email.unsubscribe: "http://x"`, `FILE:9: email.lanes: is 99`,
				`FILE:10: email.pool: "sms" is a pool of modems`, `FILE:11: email.fallback: "expired" is not one of failed, undelivered`, `FILE:12: email.ca_file: `}},
		{"replies by e-mail without a mail server", "[email]\nforward_inbox = [\"shop@example.nl\"]\n",
			[]string{`FILE:1: email.from: `, `FILE:1: email.host: "" is not a host name`, `FILE:2: email.forward_inbox: has no way out: give the outgoing mail server in email.host`}},
		{"replies to what is no address", "[email]\nhost = \"mail.example\"\nfrom = \"shop@example.nl\"\nforward_inbox = [\"shop@example.nl\", \"shop\"]\n",
			[]string{`FILE:4: email.forward_inbox: "shop" is no e-mail address`}},
		{"a user without a password, the wrong port", "[email]\nhost = \"mail.example\"\nuser = \"shop\"\nfrom = \"Shop <shop@example.nl>\"\ntls = \"tls\"\nport = 587\n",
			[]string{`FILE:1: email.password_file: is missing`, `warning: FILE:6: email.port: is 587`}},
		{"a rule that would send everything by e-mail", "[email]\nhost = \"mail.example\"\nfrom = \"shop@example.nl\"\n[[routing]]\npool = \"email\"\n[[routing]]\npool = \"email\"\nmin_attempt = 2\n",
			[]string{`FILE:4: routing.min_attempt: is 0, must be 2 or more for the pool of e-mail`}},
		{"a route that is called as e-mail is", "[[modem]]\nname = \"email\"\nport = \"/dev/null\"\n[email]\nhost = \"mail.example\"\nfrom = \"shop@example.nl\"\n",
			[]string{`FILE:4: email: "email" is the name of line 2 too`, `FILE:4: email.pool: "email" is a pool of modems`}},
		{"what this build lacks", "[tls]\nlisten = [\"0.0.0.0:8443\"]\n[drop]\ndir = \"drop\"\n[compat]\nkannel = true\n",
			[]string{`FILE:2: tls.listen: this build serves plain HTTP only`, `FILE:4: drop.dir: "drop" is not a full path`, `FILE:6: compat.kannel: this build`}},
		{"routing to a pool that is none", "[[routing]]\nprefix = \"+46\"\npool = \"x\"\n",
			[]string{`FILE:3: routing.pool: "x" is no pool`}},
		{"a tariff with everything wrong", "[[tariff]]\nprefix = \"31\"\nper_part = \"4 ct\"\ncurrency = \"euro\"\npool = \"x\"\n",
			[]string{`FILE:2: tariff.prefix: is not valid: write it with plus`, `FILE:3: tariff.per_part: "4 ct" is not an amount`,
				`FILE:4: tariff.currency: "euro" is not a currency`, `FILE:5: tariff.pool: "x" is no pool`}},
		{"two tariffs for the same numbers", "[[tariff]]\nprefix = \"+31\"\nper_part = \"0.045\"\ncurrency = \"EUR\"\n[[tariff]]\nprefix = \"+31\"\nper_part = \"0.05\"\ncurrency = \"EUR\"\n",
			[]string{`FILE:6: tariff.prefix: there are two tariffs`}},
		{"texts as no network knows them", "[text]\nref_bits = 12\nshift = \"klingon\"\nlocking = \"spanish\"\n",
			[]string{`FILE:2: text.ref_bits: is 12, must be 8`, `FILE:3: text.shift: "klingon"`, `FILE:4: text.locking: "spanish"`}},
		{"routing to a route by its name, and to nobody", "[[modem]]\nname = \"a\"\nport = \"/dev/null\"\n[[routing]]\npool = \"a\"\n[[routing]]\npool = \"b\"\n",
			[]string{`FILE:7: routing.pool: "b" is no pool; the modems and SMSCs of this file make up a, sms`}},
		{"a country whose numbers nobody here can read", "country = \"JP\"\n",
			[]string{`FILE:1: country: national numbers of JP cannot be read; choose one of`}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			_, ps := parseConfig(filepath.Join(t.TempDir(), "tillpost.toml"), []byte(test.file))
			got := said(ps)
			if len(got) != len(test.want) {
				t.Fatalf("%d problems, want %d:\n%s", len(got), len(test.want), strings.Join(got, "\n"))
			}
			for i, want := range test.want {
				if !strings.Contains(got[i], want) {
					t.Errorf("problem %d:\n got %s\nwant %s", i, got[i], want)
				}
			}
		})
	}
}

func TestConfigSecretsAreNeverPrinted(t *testing.T) {
	_, ps := parseConfig(filepath.Join(t.TempDir(), "tillpost.toml"), []byte(
		"[[modem]]\nname = \"a\"\nport = \"/dev/null\"\npin = \"735x\"\n[[smpp]]\nname = \"o\"\naddr = \"h:1\"\nsystem_id = \"s\"\npassword = \"hunter2hunter2\"\n"))
	for _, line := range said(ps) {
		if strings.Contains(line, "735x") || strings.Contains(line, "hunter2") {
			t.Errorf("a problem repeats a secret: %s", line)
		}
	}
	if s := secret("735x"); s.String() == "735x" || s.GoString() == "735x" {
		t.Error("a secret prints as itself")
	}
}

func TestConfigSecretFiles(t *testing.T) {
	dir, creds := t.TempDir(), t.TempDir()
	file := filepath.Join(dir, "tillpost.toml")
	write := func(path, text string, mode os.FileMode) {
		t.Helper()
		if err := os.WriteFile(path, []byte(text), mode); err != nil {
			t.Fatal(err)
		}
		if err := os.Chmod(path, mode); err != nil { // whatever the umask
			t.Fatal(err)
		}
	}
	const boot = "[[modem]]\nname = \"a\"\nport = \"/dev/null\"\npin_file = \"pin\"\n"

	write(filepath.Join(dir, "pin"), "1111\n", 0o600)
	cfg, ps := parseConfig(file, []byte(boot))
	if cfg.Modems[0].PIN != "1111" || len(ps.list) != 0 {
		t.Errorf("beside the boot file: read %q with %q", string(cfg.Modems[0].PIN), said(ps))
	}

	write(filepath.Join(dir, "pin"), "1111\n", 0o644)
	if _, ps = parseConfig(file, []byte(boot)); ps.fatal() || len(ps.list) != 1 || !strings.Contains(said(ps)[0], "read by everybody") {
		t.Errorf("a file for everybody's eyes: %q", said(ps))
	}

	write(filepath.Join(creds, "pin"), "2222\n", 0o400)
	t.Setenv("CREDENTIALS_DIRECTORY", creds)
	if cfg, _ = parseConfig(file, []byte(boot)); cfg.Modems[0].PIN != "2222" {
		t.Errorf("systemd's credential did not win: %q", string(cfg.Modems[0].PIN))
	}
}

func TestConfigLinesSkipTextsOfSeveralLines(t *testing.T) {
	lines := keyLines("a = \"\"\"\nb = 1\n[c]\n\"\"\"\nd = 2\n[[e]]\nf = 3\n[[e]]\nf = [\n 1,\n]\n[ \"g\" ] # why\nh = 1\n")
	want := map[string]int{"a": 1, "d": 5, "e": 6, "e[0]": 6, "e[0].f": 7, "e[1]": 8, "e[1].f": 9, "g": 12, "g.h": 13}
	if !reflect.DeepEqual(lines, want) {
		t.Errorf("got %v\nwant %v", lines, want)
	}
}

func TestPageIsCalledByTheNameTheOwnerGave(t *testing.T) {
	for _, c := range []struct {
		names, listen []string
		want          string
	}{
		{nil, []string{"0.0.0.0:8080"}, ""},
		{[]string{"box.local"}, []string{"127.0.0.1:8080", "[::1]:8080", "localhost:8080"}, ""}, // nobody else could follow the link
		{[]string{"box.local", "kassa"}, []string{"127.0.0.1:8080", "0.0.0.0:8081"}, "http://box.local:8081"},
		{[]string{"box.local"}, []string{":80"}, "http://box.local"},
	} {
		if got := (&Config{Hostnames: c.names, Listen: c.listen}).pageURL(); got != c.want {
			t.Errorf("%v on %v is %q, want %q", c.names, c.listen, got, c.want)
		}
	}
}

func TestSettingsOfAnSMSCReachTheRoute(t *testing.T) {
	cfg, ps := parseConfig(filepath.Join(t.TempDir(), "tillpost.toml"), []byte(smppFile+
		"tls = true\ntls_name = \"sms.example\"\nservice_type = \"CMT\"\ntlvs = [\"0x1400 = 616263\", \"5121=\"]\ncodes = [\"0x401=reject\", \"1026 = retry\"]\n"+
		"coding_gsm7 = 241\ncoding_ucs2 = 24\nvalidity = \"0s\"\nvalidity_format = \"absolute\"\nalphabet = \"latin1\"\nmessage_reference = true\n"))
	if len(ps.list) > 0 {
		t.Fatalf("%q", said(ps))
	}
	got := cfg.SMPP[0].route(nil, nil)
	if got.TLS == nil || got.TLS.ServerName != "sms.example" || got.ServiceType != "CMT" ||
		!reflect.DeepEqual(got.TLVs, map[uint16][]byte{0x1400: []byte("abc"), 0x1401: {}}) ||
		!reflect.DeepEqual(got.Codes, map[uint32]route.Fate{0x401: route.Reject, 0x402: route.Retry}) ||
		got.CodingGSM7 != 0xF1 || got.CodingUCS2 != 0x18 || got.Validity != 0 || got.ValidityFormat != smpp.ValidityAbsolute ||
		got.Alphabet != smpp.AlphabetLatin1 || !got.MessageReference {
		t.Errorf("the route reads %+v", got)
	}
}
