"""Copies of a message that Celery's own client made: equal but for the payload and the ids."""
import base64
import json
import uuid


class Message:
    def __init__(self, text):
        self.message = json.loads(text)
        self.body = json.loads(base64.b64decode(self.message["body"]))
        self.queue = self.message["properties"]["delivery_info"]["routing_key"]

    def copy(self, payload):
        message, properties = self.message, self.message["properties"]
        own = str(uuid.uuid4())
        message["headers"]["id"] = message["headers"]["root_id"] = own
        properties["correlation_id"] = own
        properties["delivery_tag"] = str(uuid.uuid4())
        self.body[0] = [payload]
        message["body"] = base64.b64encode(json.dumps(self.body).encode()).decode()
        return json.dumps(message).encode()
