package main

import "tillpost/queue"

// pace is how many parts leave in a minute over the routes that are ready, for
// the estimates of campaigns: what the file limits a modem to, else what they
// usually carry (field-notes §1.16: 10 a minute on LTE; an SMSC by its window).
// A mail server carries no parts.
func (c *Config) pace(q *queue.Queue) func() float64 {
	const usualModem, usualLane = 10.0, 60.0
	limits := map[string]float64{}
	for _, m := range c.Modems {
		n := usualModem
		if m.PartsPerMinute > 0 {
			n = float64(m.PartsPerMinute)
		}
		if m.PartsPerHour > 0 {
			n = min(n, float64(m.PartsPerHour)/60)
		}
		limits[m.Name] = n
	}
	for _, s := range c.SMPP {
		limits[s.Name] = usualLane * float64(2*s.Window*s.Binds)
		if s.PartsPerSec > 0 {
			limits[s.Name] = 60 * float64(s.PartsPerSec)
		}
	}
	return func() float64 {
		sum := 0.0
		for _, r := range q.Routes() {
			if _, ready := r.Plain(); !ready || r.Route == mailRoute {
				continue
			}
			if n, named := limits[r.Route]; named {
				sum += n
			} else {
				sum += usualModem
			}
		}
		return sum
	}
}
