"""The spine in a CT: canal, labelled vertebrae, their frames and pedicles."""
