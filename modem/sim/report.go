package sim

import (
	"strings"
	"time"
)

// ReportStyle is how a network's status reports differ from the plain case:
// one report, with the recipient as it was dialled, and final.
type ReportStyle struct {
	// National: the recipient is spelled 06… instead of +316…, in a number of
	// the country of the SMSC.
	National bool
	// Twice: each report is sent a second time.
	Twice bool
	// Pending: before the final report comes one that says "still trying".
	Pending bool
}

// stillTrying is a TP-ST that is not final (TS 23.040 §9.2.3.15, 30 to 3F).
const stillTrying = 0x30

// report tells the sender of e what became of it. c.mu is held.
func (c *Cell) report(e Entry, status byte) {
	statuses := []byte{status}
	if c.cfg.Reports.Pending {
		statuses = []byte{stillTrying, status}
	}
	now := time.Now()
	for _, st := range statuses {
		p := parcel{
			tpdu:  reportTPDU(byte(e.MR), c.spell(e.To), e.Time, now, st),
			entry: Entry{Kind: "report", ICCID: e.ICCID, From: e.To, To: e.From, MR: e.MR, ST: int(st)},
		}
		c.enqueue(e.From, &p)
		if c.cfg.Reports.Twice {
			again := p
			c.enqueue(e.From, &again)
		}
	}
}

// spell writes the recipient of a report as an address field.
func (c *Cell) spell(to string) []byte {
	const countryCode = 3 // with plus: +31, +46, +49
	if !c.cfg.Reports.National || len(c.cfg.SMSC) < countryCode || !strings.HasPrefix(to, c.cfg.SMSC[:countryCode]) {
		return addressField(to)
	}
	field := addressField("0" + to[countryCode:])
	field[1] = 0xa1 // national number (§9.1.2.5)
	return field
}

// smsc is the number in front of what the network brings.
func (c *Cell) smsc() string {
	if c.cfg.Bare {
		return ""
	}
	return c.cfg.SMSC
}

// reportAfter spreads the reports: by the golden section, so that no two
// neighbours come together and every run is the same.
func (c *Cell) reportAfter() time.Duration {
	if c.cfg.ReportAfter != 0 {
		return c.cfg.ReportAfter
	}
	return 200*time.Millisecond + time.Duration(c.accepted*618%1000)*1200*time.Microsecond
}
