package main

import "fmt"

// refuseAbsent names what the file asks for and this build does not have.
// Nothing is ever silently ignored: where a message would leave otherwise
// than asked, or not at all, the daemon refuses to start; where the sending is
// right and something beside it is missing, it warns. A feature that arrives takes its line away from here.
func (c *Config) refuseAbsent(ps *problems) {
	refused := func(asked bool, path, why string) {
		if asked {
			ps.fault(path, "%s; take it out of the file to start", why)
		}
	}
	warned := func(asked bool, path, why string) {
		if asked {
			ps.warn(path, "%s", why)
		}
	}

	refused(len(c.TLS.Listen) > 0, "tls.listen", "this build serves plain HTTP only, and nobody should believe the line is encrypted")
	refused(c.Email != nil, "email", "this build carries no e-mail")
	refused(len(c.Routing) > 0, "routing", "this build sends everything over its own pool, so messages would leave by another route than you ask for")
	refused(c.Drop.Dir != "", "drop.dir", "this build does not look into a drop folder, so files put there would never be sent")
	for i, m := range c.Modems {
		at := fmt.Sprintf("modem[%d]", i)
		refused(m.IMEI != "", at+".imei", "this build finds a modem by its port only: use port, best with a link in /dev/serial/by-path")
		refused(m.USB != "", at+".usb", "this build finds a modem by its port only: use port, best with a link in /dev/serial/by-path")
		limited := m.PartsPerMinute > 0 || m.PartsPerHour > 0 || m.PartsPerDay > 0 || m.RecipientsPerMonth > 0
		refused(limited, at, "this build does not keep quotas, so a SIM could send more than its contract allows")
	}
	for _, facade := range []struct {
		asked bool
		key   string
	}{
		{c.Compat.GetSend, "get_send"}, {c.Compat.SMSEagle, "smseagle"}, {c.Compat.Kannel, "kannel"},
		{c.Compat.SMSGate, "smsgate"}, {c.Compat.Spool, "spool"},
	} {
		refused(facade.asked, "compat."+facade.key, "this build does not speak for that gateway, so its clients would be turned away")
	}
	warned(len(c.Tariffs) > 0, "tariff", "this build does not compute prices; previews show parts only")
	_, quiet := ps.lines["quiet_hours.enabled"]
	warned(quiet && c.QuietHours.Enabled, "quiet_hours.enabled", "this build keeps no quiet hours: marketing goes out when it is handed in")
	_, retention := ps.lines["retention"]
	warned(retention, "retention", "this build keeps messages until the file is removed; nothing is deleted by age yet")
}
