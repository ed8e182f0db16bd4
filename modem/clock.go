package modem

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"time"

	"tillpost/modem/at"
)

// checkClock offers the network's time to the daemon: a box may boot in 1970
// and see no other clock. The modem keeps the network's time once it was told
// to (the profile's clock commands); until the network has given it, it counts
// from whatever year its maker chose, long before ours.
func (s *session) checkClock(ctx context.Context) error {
	if s.m.cfg.Clock == nil || !s.keepsTime {
		return nil
	}
	lines, err := s.conn.Command(ctx, "AT+CCLK?", 5*time.Second)
	if isLost(err) {
		return err
	}
	v, ok := at.Find(lines, "+CCLK")
	if !ok {
		return nil
	}
	t, err := readClock(v)
	if err != nil {
		s.log.Debug("the modem's clock cannot be read", "err", err)
		return nil
	}
	if t.Year() >= firstYear {
		s.m.cfg.Clock(t, "network")
	}
	return nil
}

// firstYear is later than any year that a modem starts to count from.
const firstYear = 2025

// readClock reads "yy/MM/dd,hh:mm:ss±zz", local time with its distance from GMT
// in quarters of an hour (27.007 §8.15). Without the distance it says nothing.
func readClock(v string) (time.Time, error) {
	v = strings.Trim(v, `" `)
	sign := strings.LastIndexAny(v, "+-")
	if sign < 0 {
		return time.Time{}, fmt.Errorf("%q has no time zone", v)
	}
	quarters, err := strconv.Atoi(v[sign:])
	if err != nil || quarters < -56 || quarters > 56 {
		return time.Time{}, fmt.Errorf("%q: the time zone is out of range", v)
	}
	zone := time.FixedZone("", quarters*15*60)
	for _, layout := range []string{"06/01/02,15:04:05", "2006/01/02,15:04:05"} {
		if t, err := time.ParseInLocation(layout, v[:sign], zone); err == nil {
			return t.UTC(), nil
		}
	}
	return time.Time{}, fmt.Errorf("%q is no time", v)
}
