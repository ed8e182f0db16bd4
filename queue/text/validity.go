package text

import "time"

// ValidityOctet returns the relative TP-VP octet (3GPP TS 23.040 §9.2.3.12.1)
// of the longest period that does not exceed d. The shortest period there is
// is 5 minutes, the longest 63 weeks.
func ValidityOctet(d time.Duration) byte {
	const day, week = 24 * time.Hour, 7 * 24 * time.Hour
	switch {
	case d < 10*time.Minute:
		return 0
	case d < 12*time.Hour+30*time.Minute: // (octet + 1) × 5 minutes, to 12 hours
		return byte(min(d/(5*time.Minute)-1, 143))
	case d < 2*day: // 12 hours + (octet − 143) × 30 minutes, to 24 hours
		return byte(min((d-12*time.Hour)/(30*time.Minute)+143, 167))
	case d < 5*week: // (octet − 166) days, to 30
		return byte(min(d/day+166, 196))
	default: // (octet − 192) weeks
		return byte(min(d/week+192, 255))
	}
}
