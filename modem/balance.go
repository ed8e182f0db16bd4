package modem

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"time"

	"tillpost/queue/route"
)

// Balance says how to watch what is left on a prepaid SIM.
type Balance struct {
	Code  string        // what to ask, such as *100#. Empty: nothing is asked
	Every time.Duration // how often; zero: once a day. Asked also when sending is refused as if the credit were gone

	// Pattern is a regular expression whose first group is the amount. Empty:
	// it is learnt from the answers.
	Pattern string

	// Below is the amount under which a person is warned, "5.00". Empty: when
	// what is left would be used up within three days at the pace so far.
	Below string
}

const daysAhead = 3

// check refuses what cannot work. The error names the field.
func (b Balance) check() error {
	if b.Code == "" {
		return nil
	}
	if err := checkUSSD(b.Code); err != nil {
		return err
	}
	if re, err := regexp.Compile(b.Pattern); err != nil {
		return fmt.Errorf("balance_pattern: %w", err)
	} else if b.Pattern != "" && re.NumSubexp() < 1 {
		return errors.New("balance_pattern: it needs a group around the amount, such as saldo: ([0-9,]+)")
	}
	if b.Below != "" {
		if _, err := cents(b.Below); err != nil {
			return fmt.Errorf("balance_below: %w", err)
		}
	}
	return nil
}

// purse is what is remembered of the balance of one SIM.
type purse struct {
	Anchor string        `json:"anchor,omitempty"` // the words before the amount, as learnt
	Last   route.Balance `json:"last"`
	PerDay int64         `json:"per_day,omitempty"` // cents used a day, as seen
	Asked  time.Time     `json:"asked"`
}

func purseKey(identity string) string { return "balance:" + identity }

// balanceDue says whether it is time to ask, and writes down that it is done.
func (m *Modem) balanceDue(identity string) (purse, bool) {
	if m.cfg.Balance.Code == "" {
		return purse{}, false
	}
	p, err := m.recallPurse(identity)
	if err != nil {
		m.log.Warn("the last balance cannot be read", "err", err)
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	urgent := m.doubtful
	m.doubtful = false
	return p, urgent || time.Since(p.Asked) >= cmp.Or(m.cfg.Balance.Every, 24*time.Hour)
}

func (m *Modem) recallPurse(identity string) (p purse, err error) {
	b, err := m.cfg.Memory.Load(purseKey(identity))
	if err == nil && len(b) > 0 {
		err = json.Unmarshal(b, &p)
	}
	return p, err
}

// checkBalance is a poll. The answer may take a minute, in which messages go
// on, so it is waited for beside the states.
func (s *session) checkBalance(context.Context) error {
	p, due := s.m.balanceDue(s.identity())
	if !due {
		return nil
	}
	p.Asked = time.Now()
	identity := s.identity()
	s.beside.Go(func() { s.askBalance(identity, p) })
	return nil
}

// askBalance runs beside the states, whose fields it leaves alone.
func (s *session) askBalance(identity string, p purse) {
	ctx, cancel := context.WithTimeout(context.Background(), 3*time.Minute) // ask ends with the session
	defer cancel()
	said, err := s.ask(ctx, s.m.cfg.Balance.Code)
	if err != nil {
		s.log.Warn("the balance could not be asked", "err", err)
	} else {
		p = s.m.cfg.Balance.read(p, said, time.Now())
		last := p.Last
		s.m.publish(func(st *route.Status) { care(st).Balance = &last })
		s.m.warnOfBalance(last)
	}
	b, err := json.Marshal(p)
	if err == nil {
		err = s.m.cfg.Memory.Save(ctx, purseKey(identity), b)
	}
	if err != nil {
		s.log.Warn("the balance cannot be written down", "err", err)
	}
}

func (m *Modem) warnOfBalance(b route.Balance) {
	if !b.Low {
		m.worry("credit_low", "")
		return
	}
	why := "the operator says that " + b.Amount + " is left on the SIM: top it up"
	m.worry("credit_low", why)
	m.notice("credit_low", why)
}

// read takes an answer into the purse.
func (b Balance) read(p purse, said string, now time.Time) purse {
	before := p.Last
	p.Last = route.Balance{Text: said, At: now}
	var amount string
	if b.Pattern != "" {
		if m := regexp.MustCompile(b.Pattern).FindStringSubmatch(said); len(m) > 1 { // check has seen it
			amount = m[1]
		}
	} else {
		amount, p.Anchor = find(said, p.Anchor)
	}
	left, err := cents(amount)
	if err != nil {
		return p // shown as it came
	}
	p.Last.Amount = spell(left)
	if was, err := cents(before.Amount); err == nil && was > left && now.Sub(before.At) > time.Hour {
		p.PerDay = int64(float64(was-left) / now.Sub(before.At).Hours() * 24)
	}
	if below, err := cents(b.Below); err == nil {
		p.Last.Low = left < below
	} else {
		p.Last.Low = left <= daysAhead*p.PerDay && (p.PerDay > 0 || left == 0)
	}
	return p
}

var (
	// An amount of money: two decimals, or a currency beside it.
	money    = regexp.MustCompile(`(?i)(?:(?:€|£|\$|eur|sek|nok|dkk|gbp|chf|pln|kr)\.?\s*)?(\d{1,3}(?:[ .,]\d{3})+[.,]\d{2}|\d{1,6}[.,]\d{2}|\d{1,6})(?:\s*(?:€|£|\$|eur|sek|nok|dkk|gbp|chf|pln|kr|euro)\b|\s*€)?`)
	decimals = regexp.MustCompile(`[.,]\d{2}$`)
	currency = regexp.MustCompile(`(?i)(€|£|\$|eur|sek|nok|dkk|gbp|chf|pln|kr)`)
	notMoney = regexp.MustCompile(`\d{1,4}[./-]\d{1,2}[./-]\d{2,4}|\d{1,2}:\d{2}|\+?\d{7,}`) // dates, times, numbers to call
	lastWord = regexp.MustCompile(`(\pL[\pL ]*)[^\pL]*$`)
)

// find reads the amount in an answer. Where there are several, it is the one
// behind the words that were before it the last time, when it was alone.
func find(said, anchor string) (amount, learnt string) {
	text := notMoney.ReplaceAllStringFunc(said, func(s string) string { return strings.Repeat("x", len(s)) })
	var found [][2]string // amount, the words before it
	for _, at := range money.FindAllStringSubmatchIndex(text, -1) {
		whole, number := text[at[0]:at[1]], text[at[2]:at[3]]
		if !decimals.MatchString(number) && !currency.MatchString(whole) {
			continue
		}
		words := ""
		if m := lastWord.FindStringSubmatch(text[:at[0]]); m != nil {
			words = strings.ToLower(strings.TrimSpace(m[1]))
		}
		found = append(found, [2]string{number, words})
	}
	if len(found) == 1 {
		return found[0][0], found[0][1]
	}
	for _, f := range found {
		if anchor != "" && f[1] == anchor {
			return f[0], anchor
		}
	}
	return "", anchor
}

// cents reads "12.34", "12,34", "1.234,50" or "7".
func cents(s string) (int64, error) {
	whole, part := s, ""
	if decimals.MatchString(s) {
		whole, part = s[:len(s)-3], s[len(s)-2:]
	}
	if whole == "" {
		return 0, errors.New("there is no amount")
	}
	whole = strings.NewReplacer(".", "", ",", "", " ", "").Replace(whole)
	n, err := strconv.ParseInt(whole+cmp.Or(part, "00"), 10, 64)
	if err != nil || n < 0 {
		return 0, fmt.Errorf("%q is no amount of money", s)
	}
	return n, nil
}

func spell(n int64) string { return fmt.Sprintf("%d.%02d", n/100, n%100) }
