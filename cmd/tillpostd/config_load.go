package main

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/BurntSushi/toml"

	"tillpost/queue"
	"tillpost/queue/outreach"
	"tillpost/queue/text"
	"tillpost/webui/api/wire"
)

// loadConfig reads and validates the boot file. A file that does not exist is
// the box without one: the defaults. Every problem is in the list; the
// configuration is usable unless one of them is fatal.
func loadConfig(file string) (*Config, *problems) {
	ps := &problems{file: file}
	data, err := os.ReadFile(file)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		cfg := defaultConfig()
		cfg.validate(ps)
		return cfg, ps
	case err != nil:
		ps.fault("", "cannot be read: %v", errors.Unwrap(err))
		return nil, ps
	}
	return parseConfig(file, data)
}

func parseConfig(file string, data []byte) (*Config, *problems) {
	ps := &problems{file: file, lines: keyLines(string(data))}
	cfg := defaultConfig()
	tree := make(map[string]any)
	if err := toml.Unmarshal(data, &tree); err != nil {
		// Nothing behind a fault of syntax can be trusted: it is the only
		// problem named.
		p := problem{file: file, text: err.Error()}
		if pe, ok := errors.AsType[toml.ParseError](err); ok {
			p.line, p.key, p.text = pe.Position.Line, pe.LastKey, pe.Message+" (this line is not TOML)"
		}
		ps.list = append(ps.list, p)
		return nil, ps
	}
	cfg.boot, cfg.bootFile, cfg.origins = data, file, map[string]string{}
	inFile := map[string]bool{}
	leaves("", tree, inFile)
	for key := range inFile {
		cfg.origins[key] = wire.OriginFile
	}
	ps.bind("", tree, reflect.ValueOf(cfg).Elem())
	cfg.readSecrets(ps)
	cfg.validate(ps)
	cfg.refuseAbsent(ps)
	slices.SortStableFunc(ps.list, func(a, b problem) int {
		return cmp.Or(cmp.Compare(a.line, b.line), cmp.Compare(a.key, b.key), cmp.Compare(a.text, b.text))
	})
	return cfg, ps
}

// readSecrets puts what the secret files hold into the secrets.
func (c *Config) readSecrets(ps *problems) {
	for i := range c.Modems {
		m := &c.Modems[i]
		ps.readSecret(fmt.Sprintf("modem[%d].pin", i), &m.PIN, m.PINFile)
		if m.PINFile != "" {
			m.pinPath = secretPath(ps.file, m.PINFile)
		}
	}
	for i := range c.SMPP {
		s := &c.SMPP[i]
		ps.readSecret(fmt.Sprintf("smpp[%d].password", i), &s.Password, s.PasswordFile)
	}
	if c.Email != nil {
		ps.readSecret("email.password", &c.Email.Password, c.Email.PasswordFile)
	}
}

// readSecret fills in the secret of key from its file.
func (ps *problems) readSecret(key string, value *secret, file string) {
	if *value != "" {
		ps.warn(key, "stands in this file in plain sight; put it into a file of its own (mode 0600) and name that as %s_file", lastKey(key))
		if file != "" {
			ps.fault(key, "is given twice, here and as %s_file; keep %s_file", lastKey(key), lastKey(key))
		}
		return
	}
	if file == "" {
		return
	}
	path := secretPath(ps.file, file)
	data, err := os.ReadFile(path)
	if err != nil {
		ps.fault(key+"_file", "%s cannot be read: %v; create it with the secret alone on one line, readable by the daemon only", path, errors.Unwrap(err))
		return
	}
	if info, err := os.Stat(path); err == nil && info.Mode().Perm()&0o007 != 0 {
		ps.warn(key+"_file", "%s can be read by everybody on this box; chmod 0600 it", path)
	}
	*value = secret(strings.TrimSpace(string(data)))
	if *value == "" {
		ps.fault(key+"_file", "%s is empty; write the secret into it, alone on one line", path)
	}
}

// secretPath is where a secret's file is: among systemd's credentials, else
// beside the boot file.
func secretPath(bootFile, file string) string {
	if filepath.IsAbs(file) {
		return file
	}
	if dir := os.Getenv("CREDENTIALS_DIRECTORY"); dir != "" {
		path := filepath.Join(dir, file)
		if _, err := os.Stat(path); err == nil {
			return path
		}
	}
	return filepath.Join(filepath.Dir(bootFile), file)
}

var (
	countryForm  = regexp.MustCompile(`^[A-Z]{2}$`)
	nameForm     = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9_.-]{0,31}$`)
	hostForm     = regexp.MustCompile(`^[A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?(\.[A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?)*\.?$`)
	pinForm      = regexp.MustCompile(`^[0-9]{4,8}$`) // contract.md; TS 11.11 §9.3
	imeiForm     = regexp.MustCompile(`^[0-9]{15}$`)  // TS 23.003 §6.2.1
	usbForm      = regexp.MustCompile(`^[0-9]+-[0-9]+(\.[0-9]+)*$`)
	prefixForm   = regexp.MustCompile(`^\+[0-9]{1,14}$`)
	currencyForm = regexp.MustCompile(`^[A-Z]{3}$`)
	sizeForm     = regexp.MustCompile(`^([0-9]{1,6}) ?(KB|MB|GB)$`)
)

// validate checks every value by itself and the few that depend on another.
func (c *Config) validate(ps *problems) {
	if !filepath.IsAbs(c.DataDir) {
		ps.fault("data_dir", "%q is not a full path; write it from the root, such as /var/lib/tillpost", c.DataDir)
	}
	if len(c.Listen)+len(c.TLS.Listen) == 0 {
		ps.fault("listen", `is empty, so no page and no API could be reached; write listen = ["127.0.0.1:8080"]`)
	}
	for i, addr := range c.Listen {
		ps.address(fmt.Sprintf("listen[%d]", i), addr)
	}
	for i, addr := range c.TLS.Listen {
		ps.address(fmt.Sprintf("tls.listen[%d]", i), addr)
	}
	for i, host := range c.Hostnames {
		if !hostForm.MatchString(host) {
			ps.fault(fmt.Sprintf("hostnames[%d]", i), "%q is not a host name; write the bare name, without http:// and port", host)
		}
	}
	ps.country("country", c.Country)
	ps.oneOf("language", c.Language, queue.Languages...)
	loc, err := time.LoadLocation(c.Timezone)
	if c.Timezone == "" {
		loc = time.Local
	} else if err != nil {
		ps.fault("timezone", `%q is not a time zone; write continent and city, such as "Europe/Amsterdam"`, c.Timezone)
	}
	c.location = loc

	if (c.TLS.CertFile == "") != (c.TLS.KeyFile == "") {
		ps.fault("tls", "cert_file and key_file belong together; give both, or neither and a certificate is made")
	}
	c.validateRoutes(ps)
	c.validateRules(ps)
	c.validateLimits(ps)
}

// validateRoutes checks what carries messages.
func (c *Config) validateRoutes(ps *problems) {
	owner := make(map[string]string) // name or device → where it was given first
	unique := func(path, what, value string) {
		if value == "" {
			return
		}
		if first, taken := owner[what+value]; taken {
			ps.fault(path, "%q is the %s of %s too; each route has its own", value, what, first)
			return
		}
		owner[what+value] = withoutIndexes(path)
		if line := ps.line(path); line > 0 {
			owner[what+value] = fmt.Sprintf("line %d", line)
		}
	}
	for i := range c.Modems {
		m, at := &c.Modems[i], fmt.Sprintf("modem[%d]", i)
		ps.routeName(at+".name", m.Name)
		unique(at+".name", "name", m.Name)
		given := 0
		for _, which := range []string{m.Port, m.IMEI, m.USB} {
			if which != "" {
				given++
			}
		}
		if given != 1 {
			ps.fault(at, `must say which modem, by exactly one of port = "/dev/…", imei = "…" and usb = "1-1.3"`)
		}
		if m.Port != "" && !filepath.IsAbs(m.Port) {
			ps.fault(at+".port", "%q is not a full path; write /dev/ttyUSB2, or better a link in /dev/serial/by-path", m.Port)
		} else if m.Port != "" {
			if _, err := os.Stat(m.Port); err != nil {
				ps.warn(at+".port", "%s is not there now; plug the modem in (ls /dev/serial/by-path shows what is). It is used as soon as it appears", m.Port)
			}
		}
		unique(at+".port", "port", m.Port)
		ps.matches(at+".imei", m.IMEI, imeiForm, "an IMEI has 15 digits; *#06# or the label on the modem shows it")
		unique(at+".imei", "IMEI", m.IMEI)
		unique(at+".usb", "socket", m.USB)
		ps.matches(at+".usb", m.USB, usbForm, "a USB path looks like 1-1.3, as /sys/bus/usb/devices lists it")
		ps.matches(at+".pin", string(m.PIN), pinForm, "a PIN has 4 to 8 digits")
		ps.poolName(at+".pool", m.Pool)
		ps.atLeast(at+".send_timeout", int64(m.SendTimeout/time.Second), 10, " seconds; networks may take 180 (3GPP TS 27.005 leaves it open)")
		for key, n := range map[string]int{"parts_per_minute": m.PartsPerMinute, "parts_per_hour": m.PartsPerHour,
			"parts_per_day": m.PartsPerDay, "recipients_per_month": m.RecipientsPerMonth} {
			ps.between(at+"."+key, n, 0, 1_000_000)
		}
		ps.between(at+".month_starts", m.MonthStarts, 1, 28)
		ps.caredFor(at, m)
	}
	for i := range c.SMPP {
		at := fmt.Sprintf("smpp[%d]", i)
		ps.routeName(at+".name", c.SMPP[i].Name)
		unique(at+".name", "name", c.SMPP[i].Name)
		c.SMPP[i].validate(ps, at)
	}
	if c.Email != nil {
		unique("email", "name", mailRoute)
	}
	c.validateEmail(ps)
}

// validateRules checks what decides about messages.
func (c *Config) validateRules(ps *problems) {
	pools := map[string]bool{"sms": true}
	for _, m := range c.Modems { // a route also serves what asks for it by name
		pools[m.Pool], pools[m.Name] = true, true
	}
	for _, s := range c.SMPP {
		pools[s.Pool], pools[s.Name] = true, true
	}
	mail := ""
	if c.Email != nil {
		mail = c.Email.Pool
	}
	for i, r := range c.Routing {
		at := fmt.Sprintf("routing[%d]", i)
		ps.matches(at+".prefix", r.Prefix, prefixForm, "write it with plus and country code, such as +46")
		if r.Class != "" {
			ps.oneOf(at+".class", r.Class, string(queue.Transactional), string(queue.Marketing))
		}
		ps.between(at+".min_attempt", r.MinAttempt, 0, 100)
		c.Routing[i].hours = ps.hours(at+".hours", r.Hours)
		if r.MaxPrice != "" {
			c.Routing[i].maxPrice = ps.amount(at+".max_price", r.MaxPrice)
		}
		switch {
		case mail != "" && r.Pool == mail && r.MinAttempt < 2:
			ps.fault(at+".min_attempt", "is %d, must be 2 or more for the pool of e-mail: a rule takes over what failed as SMS and has an address too; to begin with e-mail, set channel in the call", r.MinAttempt)
		case mail != "" && r.Pool == mail:
		case !pools[r.Pool]:
			ps.fault(at+".pool", "%q is no pool; the modems and SMSCs of this file make up %s", r.Pool, strings.Join(sortedKeys(pools), ", "))
		}
	}
	c.validateTariffs(ps, pools)
}

// validateTariffs checks what parts cost, and makes the tariffs of it.
func (c *Config) validateTariffs(ps *problems, pools map[string]bool) {
	before := len(ps.list)
	list := make([]text.Tariff, len(c.Tariffs))
	for i, t := range c.Tariffs {
		at := fmt.Sprintf("tariff[%d]", i)
		ps.matches(at+".prefix", t.Prefix, prefixForm, "write it with plus and country code, such as +31")
		if !currencyForm.MatchString(t.Currency) {
			ps.fault(at+".currency", `%q is not a currency; write three capitals, such as "EUR"`, t.Currency)
		}
		if t.Pool != "" && !pools[t.Pool] {
			ps.fault(at+".pool", "%q is no pool; the modems and SMSCs of this file make up %s", t.Pool, strings.Join(sortedKeys(pools), ", "))
		}
		perPart := ps.amount(at+".per_part", t.PerPart)
		list[i] = text.Tariff{Prefix: t.Prefix, PerPart: perPart, Currency: t.Currency, Pool: t.Pool}
	}
	if len(ps.list) > before {
		return
	}
	var err error
	if c.tariffs, err = text.NewTariffs(list); err != nil {
		field, detail := "tariff", err.Error()
		if e, ok := errors.AsType[*text.Error](err); ok {
			field, detail = e.Field, e.Detail
		}
		ps.fault(field, "%s", detail)
	}
}

func (c *Config) validateLimits(ps *problems) {
	for i, country := range c.Limits.Countries {
		ps.country(fmt.Sprintf("limits.countries[%d]", i), country)
	}
	for i, code := range c.Limits.ShortCodes {
		field := fmt.Sprintf("limits.short_codes[%d]", i)
		switch n, err := text.ParseNumber(code, c.Country); {
		case err != nil:
			ps.fault(field, "is %q: %v", code, err)
		case n.String() != code || !n.Short():
			ps.fault(field, `is %q, must be a short code: three to six digits such as "8080"`, code)
		}
	}
	ps.between("limits.max_parts", c.Limits.MaxParts, 1, 255) // TS 23.040 §9.2.3.24.1: one octet
	ps.between("limits.queue_max", c.Limits.QueueMax, 1, 100_000_000)
	if c.Limits.Repeat < 0 || c.Limits.Repeat > 24*time.Hour {
		ps.fault("limits.repeat", `is %s, must be from "0s" (never) to "24h"`, c.Limits.Repeat)
	}
	if d := c.Limits.RerouteAfter; d != 0 && d < time.Minute {
		ps.fault("limits.reroute_after", `is %s, must be at least "1m", or "0s" for never`, d)
	}
	ps.between("limits.marketing_per_day", c.Limits.MarketingPerDay, 0, 1000)
	ps.between("limits.marketing_per_month", c.Limits.MarketingPerMonth, 0, 1000)
	if c.Text.RefBits != 8 && c.Text.RefBits != 16 {
		ps.fault("text.ref_bits", "is %d, must be 8 (which every phone reads) or 16", c.Text.RefBits)
	}
	ps.oneOf("text.shift", c.Text.Shift, "", "turkish", "spanish", "portuguese")
	ps.oneOf("text.locking", c.Text.Locking, "", "turkish", "portuguese")
	if s := c.Limits.MinFree; s != "" {
		parts := sizeForm.FindStringSubmatch(s)
		if parts == nil {
			ps.fault("limits.min_free", `%q is not a size; write "64 MB", or "" for 2 %% of the disk`, s)
		} else {
			n, _ := strconv.ParseInt(parts[1], 10, 64) // six digits, by the form
			c.Limits.minFree = n * map[string]int64{"KB": 1 << 10, "MB": 1 << 20, "GB": 1 << 30}[parts[2]]
		}
	}
	ps.between("retention.text_days", c.Retention.TextDays, 1, 3660)
	ps.between("retention.number_days", c.Retention.NumberDays, 1, 3660)
	if c.Retention.NumberDays < c.Retention.TextDays {
		ps.fault("retention.number_days", "is less than text_days; a text without its number is of no use, so keep numbers at least as long")
	}
	if c.Drop.Dir != "" && !filepath.IsAbs(c.Drop.Dir) {
		ps.fault("drop.dir", "%q is not a full path; write it from the root", c.Drop.Dir)
	}
}

// amount reads a price.
func (ps *problems) amount(path, s string) text.Amount {
	a, err := text.ParseAmount(s)
	if err != nil {
		ps.fault(path, `%q is not an amount; write it in quotes with a point, such as "0.045", at most 1000`, s)
	}
	return a
}

// hours reads a part of the day; empty is all of it.
func (ps *problems) hours(path, s string) (h queue.Hours) {
	if s == "" {
		return h
	}
	from, to, _ := strings.Cut(s, "-")
	begin, err := time.Parse("15:04", from)
	end, eerr := time.Parse("15:04", to)
	if err != nil || eerr != nil || begin.Equal(end) {
		ps.fault(path, `%q is no part of the day; write "08:00-20:00"`, s)
		return h
	}
	of := func(t time.Time) time.Duration {
		return time.Duration(t.Hour())*time.Hour + time.Duration(t.Minute())*time.Minute
	}
	return queue.Hours{From: of(begin), To: of(end)}
}

// address checks what the daemon shall listen on.
func (ps *problems) address(path, addr string) {
	host, port, err := net.SplitHostPort(addr)
	if err == nil && host != "" {
		_, err = netip.ParseAddr(host)
	}
	if n, perr := strconv.Atoi(port); err != nil || perr != nil || n < 0 || n > 65535 {
		ps.fault(path, `%q is not an address to listen on; write number and port, such as "127.0.0.1:8080", or "0.0.0.0:8080" for the whole network`, addr)
	}
}

// dialAddress checks where the daemon shall connect to: a name is allowed.
func (ps *problems) dialAddress(path, addr string) {
	host, port, err := net.SplitHostPort(addr)
	n, perr := strconv.Atoi(port)
	if err != nil || perr != nil || host == "" || n < 1 || n > 65535 {
		ps.fault(path, `%q is not an address; write host and port, such as "192.0.2.10:2775"`, addr)
	}
}

func (ps *problems) country(path, code string) {
	if !countryForm.MatchString(code) {
		ps.fault(path, `%q is not a country; write its two capitals, such as "NL"`, code)
		return
	}
	if path == "country" && !slices.Contains(text.Countries(), code) {
		ps.fault(path, "national numbers of %s cannot be read; choose one of %s and write numbers of %[1]s with plus and country code", code, strings.Join(text.Countries(), " "))
	}
}

func (ps *problems) routeName(path, name string) {
	if !nameForm.MatchString(name) {
		ps.fault(path, `%q cannot be the name of a route; give it one of letters, digits, "-", "_" and ".", such as "counter"`, name)
	}
}

func (ps *problems) poolName(path, name string) {
	if !nameForm.MatchString(name) {
		ps.fault(path, `%q cannot be the name of a pool; leave it out for "sms", or use letters and digits`, name)
	}
}

// caredFor checks balance, self-test and memory of a modem.
func (ps *problems) caredFor(at string, m *Modem) {
	if err := m.care().Check(); err != nil {
		field, why, _ := strings.Cut(err.Error(), ": ")
		ps.fault(at+"."+cmp.Or(map[string]string{"code": "balance"}[field], field), "%s", why)
	}
	ps.atLeast(at+".balance_every", int64(m.BalanceEvery/time.Minute), 10, " minutes; an operator may bar a SIM that asks all the time")
	if m.SelfTestEvery > 0 {
		ps.atLeast(at+".self_test_every", int64(m.SelfTestEvery/time.Minute), 60, " minutes; each test costs a message")
	}
	if m.StoreFirst && m.SelfTestEvery == 0 {
		ps.fault(at+".store_first", `needs the self-test, which shows whether the modem's memory tells the truth: set self_test_every = "24h" beside it`)
	}
}

// matches accepts an empty value: those that must be there are checked by
// the caller.
func (ps *problems) matches(path, value string, form *regexp.Regexp, remedy string) {
	if value != "" && !form.MatchString(value) {
		ps.fault(path, "is not valid: %s", remedy)
	}
}

func (ps *problems) oneOf(path, value string, allowed ...string) {
	for _, a := range allowed {
		if value == a {
			return
		}
	}
	hint := ""
	if near := outreach.Nearest(value, allowed); near != "" {
		hint = fmt.Sprintf("; did you mean %q?", near)
	}
	words := make([]string, len(allowed))
	for i, a := range allowed {
		words[i] = cmp.Or(a, `""`)
	}
	ps.fault(path, "%q is not one of %s%s", value, strings.Join(words, ", "), hint)
}

func (ps *problems) between(path string, n, least, most int) {
	if n < least || n > most {
		ps.fault(path, "is %d, must be from %d to %d", n, least, most)
	}
}

func (ps *problems) atLeast(path string, n, least int64, unit string) {
	if n < least {
		ps.fault(path, "is %d, must be at least %d%s", n, least, unit)
	}
}

func lastKey(path string) string { return path[strings.LastIndexByte(path, '.')+1:] }
