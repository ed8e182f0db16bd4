# A mail server and a reader that we did not write: Debian's aiosmtpd takes the
# mail, python's email package reads it. For each mail one line of JSON goes to
# stdout, after the port on the first line.
import asyncio, email, email.policy, json, ssl, sys
from aiosmtpd.smtp import SMTP, AuthResult


class Judge:
    async def handle_DATA(self, server, session, envelope):
        m = email.message_from_bytes(envelope.content, policy=email.policy.default)
        body, html = m.get_body(("plain",)), m.get_body(("html",))
        print(json.dumps({
            "from": envelope.mail_from, "to": envelope.rcpt_tos,
            "header_from": m["From"].addresses[0].display_name, "header_to": m["To"].addresses[0].addr_spec,
            "subject": m["Subject"], "text": body.get_content(), "html": html.get_content() if html else "",
            "names": [k for k in m.keys()], "id": m["Message-ID"], "date": m["Date"].datetime.isoformat(),
            "defects": [str(d) for p in m.walk() for d in p.defects]
            + [str(d) for k in m.keys() for d in m[k].defects],
            "tls": session.ssl is not None, "user": getattr(session, "auth_data", "") or "",
        }), flush=True)
        return "250 2.0.0 ok"


def login(server, session, envelope, mechanism, data):
    ok = data.login == b"shop" and data.password == b"secret"
    return AuthResult(success=ok, auth_data="shop" if ok else None)


async def main(cert, key):
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(cert, key)

    def session():
        return SMTP(Judge(), tls_context=context, require_starttls=True, authenticator=login, auth_required=True)

    server = await asyncio.get_running_loop().create_server(session, "127.0.0.1", 0)
    print(server.sockets[0].getsockname()[1], flush=True)
    await asyncio.get_running_loop().run_in_executor(None, sys.stdin.read)  # until the test ends


asyncio.run(main(*sys.argv[1:]))
