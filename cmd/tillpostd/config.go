package main

import (
	"fmt"
	"os"
	"strings"
	"time"

	"tillpost/modem"
	"tillpost/queue"
	"tillpost/queue/text"
)

// Config is the boot file: the schema of contract.md, complete. Names in the
// file are the toml tags; defaults are set in one place, defaultConfig and
// the defaults methods of the tables that may be repeated.
type Config struct {
	DataDir   string   `toml:"data_dir"`
	Listen    []string `toml:"listen"`    // plain HTTP, host:port
	Hostnames []string `toml:"hostnames"` // further names the page may be called by
	Country   string   `toml:"country"`   // ISO 3166 alpha-2; turns national numbers into international ones
	Timezone  string   `toml:"timezone"`  // IANA name
	Language  string   `toml:"language"`  // en nl sv de

	TLS        TLS          `toml:"tls"`
	Modems     []Modem      `toml:"modem"`
	SMPP       []SMPP       `toml:"smpp"`
	Email      *Email       `toml:"email"` // nil: no e-mail route
	Routing    []RoutingRow `toml:"routing"`
	Tariffs    []Tariff     `toml:"tariff"`
	Limits     Limits       `toml:"limits"`
	Text       Text         `toml:"text"`
	QuietHours QuietHours   `toml:"quiet_hours"`
	Retention  Retention    `toml:"retention"`
	Consent    Consent      `toml:"consent"`
	Drop       Drop         `toml:"drop"`
	Compat     Compat       `toml:"compat"`

	world    world          // where USB modems are looked for
	location *time.Location // of Timezone
	tariffs  text.Tariffs   // of Tariffs

	boot     []byte            // the file as it was read; nil: there is none
	bootFile string            //
	origins  map[string]string // where a setting comes from, by its dotted name; none: it is as it came
	base     *Config           // without what the store keeps; nil: it keeps nothing
}

// TLS is [tls].
type TLS struct {
	Listen   []string `toml:"listen"`
	CertFile string   `toml:"cert_file"`
	KeyFile  string   `toml:"key_file"`
}

// Modem is one [[modem]]. Exactly one of Port, IMEI and USB says which.
type Modem struct {
	Name        string        `toml:"name"`
	Port        string        `toml:"port"`
	IMEI        string        `toml:"imei"`
	USB         string        `toml:"usb"` // bus path such as 1-1.3
	PINFile     string        `toml:"pin_file"`
	PIN         secret        `toml:"pin"` // inline, or what PINFile holds
	Pool        string        `toml:"pool"`
	SendTimeout time.Duration `toml:"send_timeout"` // patience for one AT+CMGS

	PartsPerMinute     int `toml:"parts_per_minute"` // 0: no limit, as the next three
	PartsPerHour       int `toml:"parts_per_hour"`
	PartsPerDay        int `toml:"parts_per_day"`
	RecipientsPerMonth int `toml:"recipients_per_month"`
	MonthStarts        int `toml:"month_starts"` // day of the month, 1 to 28

	Balance        string        `toml:"balance"`          // USSD code that tells the credit; empty: not asked
	BalanceEvery   time.Duration `toml:"balance_every"`    //
	BalancePattern string        `toml:"balance_pattern"`  // regular expression with a group around the amount; empty: learnt
	BalanceBelow   string        `toml:"balance_below"`    // warned under this amount; empty: three days before it is used up
	SelfTestEvery  time.Duration `toml:"self_test_every"`  // a message to its own number; 0: never
	SelfTestNumber string        `toml:"self_test_number"` // empty: as the SIM tells
	StoreFirst     bool          `toml:"store_first"`      // send from the modem's memory, where the self-test shows that it tells the truth

	pinPath string // of PINFile, resolved; "" without one
}

// care is how the modem is looked after, as package modem reads it.
func (m *Modem) care() modem.Config {
	return modem.Config{
		Balance:    modem.Balance{Code: m.Balance, Every: m.BalanceEvery, Pattern: m.BalancePattern, Below: m.BalanceBelow},
		LoopTest:   modem.LoopTest{Every: m.SelfTestEvery, Number: m.SelfTestNumber},
		StoreFirst: m.StoreFirst,
	}
}

// currentPIN reads the PIN anew, so that a person can correct its file while
// the daemon runs.
func (m *Modem) currentPIN() (string, error) {
	if m.pinPath == "" {
		return string(m.PIN), nil
	}
	data, err := os.ReadFile(m.pinPath)
	if err != nil {
		return "", fmt.Errorf("the PIN's file: %w", err)
	}
	return strings.TrimSpace(string(data)), nil
}

// RoutingRow is one [[routing]]: the first whose conditions all hold names
// the pool.
type RoutingRow struct {
	Prefix     string `toml:"prefix"`
	Class      string `toml:"class"` // transactional | marketing
	Till       string `toml:"till"`
	MinAttempt int    `toml:"min_attempt"`
	Hours      string `toml:"hours"`     // "08:00-20:00" by the shop's clock; empty: the whole day
	MaxPrice   string `toml:"max_price"` // of a part over Pool, as [[tariff]] tells; empty: any
	Pool       string `toml:"pool"`

	hours    queue.Hours
	maxPrice text.Amount
}

// Tariff is one [[tariff]]. PerPart is decimal text: money is never a float.
type Tariff struct {
	Prefix   string `toml:"prefix"`
	PerPart  string `toml:"per_part"`
	Currency string `toml:"currency"`
	Pool     string `toml:"pool"`
}

// Limits is [limits].
type Limits struct {
	Countries []string `toml:"countries"` // empty: own country and its neighbours
	// ShortCodes may be sent to; all others are refused.
	ShortCodes []string      `toml:"short_codes"`
	MaxParts   int           `toml:"max_parts"`
	QueueMax   int           `toml:"queue_max"`
	Repeat     time.Duration `toml:"repeat"` // an equal text to one number within it is refused; 0: never
	// MarketingPerDay and MarketingPerMonth bound advertising to one number in
	// 24 hours and in 30 days; 0: no limit.
	MarketingPerDay   int `toml:"marketing_per_day"`
	MarketingPerMonth int `toml:"marketing_per_month"`
	// RerouteAfter is how long nobody serves a pool before its messages are
	// routed again; 0: they wait.
	RerouteAfter time.Duration `toml:"reroute_after"`
	MinFree      string        `toml:"min_free"` // empty: 2 % of the file system, at least 4 MB, at most 64 MB

	minFree int64 // bytes; 0: the store's default
}

// Text is [text]: how texts become short messages.
type Text struct {
	RefBits int    `toml:"ref_bits"` // of the reference that joins the parts of a long text: 8 or 16
	Cedilla bool   `toml:"cedilla"`  // smart may write ç as c, which GSM-7 lacks in lower case
	Shift   string `toml:"shift"`    // national tables that every phone of the customers reads:
	Locking string `toml:"locking"`  // "", turkish, spanish (no locking table) or portuguese
}

// nationalTables are the language identifiers of 3GPP TS 23.038 §6.2.1.2.4.
var nationalTables = map[string]int{"": 0, "turkish": 1, "spanish": 2, "portuguese": 3}

// QuietHours is [quiet_hours].
type QuietHours struct {
	Enabled bool `toml:"enabled"`
}

// Retention is [retention].
type Retention struct {
	TextDays   int `toml:"text_days"`
	NumberDays int `toml:"number_days"`
}

// Consent is [consent].
type Consent struct {
	TillChecks bool `toml:"till_checks"` // the owner vouches for it: marketing needs no proof here
}

// Drop is [drop].
type Drop struct {
	Dir string `toml:"dir"`
}

// Compat is [compat].
type Compat struct {
	GetSend  bool `toml:"get_send"`
	SMSEagle bool `toml:"smseagle"`
	Kannel   bool `toml:"kannel"`
	SMSGate  bool `toml:"smsgate"`
	Spool    bool `toml:"spool"`
}

// defaultConfig is the box without a file: the values of the contract, but
// English and the clock of the box until a shop says otherwise.
func defaultConfig() *Config {
	return &Config{
		DataDir:    "/var/lib/tillpost",
		Listen:     []string{"127.0.0.1:8080"},
		Country:    "NL",
		Language:   "en",
		Limits:     Limits{MaxParts: 6, QueueMax: 1_000_000, Repeat: 10 * time.Minute, MarketingPerDay: 1, MarketingPerMonth: 4, RerouteAfter: 15 * time.Minute},
		Text:       Text{RefBits: 8},
		QuietHours: QuietHours{Enabled: true},
		Retention:  Retention{TextDays: 30, NumberDays: 90},
	}
}

func (m *Modem) defaults() {
	m.Pool = "sms"
	m.SendTimeout = 180 * time.Second
	m.MonthStarts = 1
	m.BalanceEvery = 24 * time.Hour
}

// secret is a PIN or a password. It prints as a placeholder, so that a
// configuration may be printed or logged without a second thought.
type secret string

func (s secret) String() string {
	if s == "" {
		return ""
	}
	return "(secret)"
}

func (s secret) GoString() string             { return s.String() }
func (s secret) MarshalText() ([]byte, error) { return []byte(s.String()), nil }
