package main

import (
	"cmp"
	"log/slog"
	"time"

	"tillpost/queue"
)

// attach builds every route of the boot file and gives it to the queue. The
// modems go on looking for themselves, and for others.
func attach(q *queue.Queue, cfg *Config, log *slog.Logger) (*modems, error) {
	found, err := newModems(q, cfg, log)
	if err != nil {
		return nil, err
	}
	for i := range cfg.SMPP {
		if err := attachSMPP(q, &cfg.SMPP[i], log); err != nil {
			return nil, err
		}
	}
	return found, attachEmail(q, cfg.Email, log)
}

// rules are the [[routing]] rows as the queue reads them.
func rules(rows []RoutingRow) []queue.Rule {
	list := make([]queue.Rule, len(rows))
	for i, r := range rows {
		list[i] = queue.Rule{Prefix: r.Prefix, Class: queue.Class(r.Class), Till: r.Till, MinAttempt: r.MinAttempt, Hours: r.hours, MaxPrice: r.maxPrice, Pool: r.Pool}
	}
	return list
}

func days(n int) time.Duration { return time.Duration(n) * 24 * time.Hour }

// drainWait is how long the end waits for messages in the middle of being
// sent: as long as the most patient modem, so that a stop never turns an
// answer into an unknown; so long may a mail server take, too.
func drainWait(cfg *Config) time.Duration {
	var longest time.Duration
	if len(cfg.Modems) == 0 { // those that are found are as patient as usual
		usual := Modem{}
		usual.defaults()
		longest = usual.SendTimeout
	}
	for _, m := range cfg.Modems {
		longest = max(longest, m.SendTimeout)
	}
	if cfg.Email != nil {
		longest = max(longest, cfg.Email.SendTimeout)
	}
	return cmp.Or(longest, 10*time.Second) + 5*time.Second
}
