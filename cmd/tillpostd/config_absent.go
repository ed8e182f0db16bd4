package main

// refuseAbsent names what the file asks for and this build does not have.
// Nothing is ever silently ignored: where a message would leave otherwise than
// asked, or not at all, the daemon refuses to start; where the sending is right
// and something beside it is missing, it warns. A feature that arrives takes
// its line away from here.
func (c *Config) refuseAbsent(ps *problems) {
	const remedy = "; take it out of the file to start"
	type wish struct {
		asked     bool
		path, why string
	}
	refused := []wish{
		{len(c.TLS.Listen) > 0, "tls.listen", "this build serves plain HTTP only, and nobody should believe the line is encrypted"},
	}
	for key, asked := range map[string]bool{
		"get_send": c.Compat.GetSend, "smseagle": c.Compat.SMSEagle, "kannel": c.Compat.Kannel,
		"smsgate": c.Compat.SMSGate, "spool": c.Compat.Spool,
	} {
		refused = append(refused, wish{asked, "compat." + key, "this build does not speak for that gateway, so its clients would be turned away"})
	}
	for _, w := range refused {
		if w.asked {
			ps.fault(w.path, "%s", w.why+remedy)
		}
	}
}
