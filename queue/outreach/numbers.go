package outreach

import "tillpost/queue/store"

// numbers hands over every number that is kept here. After a restore the queue
// knows by hash only whom it is to forget again.
func numbers(tx *store.Tx, each func(number string) error) error {
	for c, err := range contacts.Scan(tx, nil) {
		if err != nil {
			return err
		}
		if err := each(c.Number); err != nil {
			return err
		}
	}
	for e, err := range exclusions.Scan(tx, nil) {
		if err != nil {
			return err
		}
		if err := each(e.Number); err != nil {
			return err
		}
	}
	for s, err := range sheets.Scan(tx, nil) {
		if err != nil {
			return err
		}
		for i := range s.List {
			if err := each(s.List[i].To); err != nil {
				return err
			}
		}
	}
	for f, err := range forwards.Scan(tx, nil) {
		if err != nil {
			return err
		}
		for _, number := range f.From {
			if err := each(number); err != nil {
				return err
			}
		}
	}
	return nil
}
