from __future__ import print_function
import time
import stcloud
from stcloud.rest import ApiException
from pprint import pprint

# Configure API key authorization: api_key
configuration = stcloud.Configuration()
configuration.api_key['Authorization'] = 'YOUR_API_KEY'
# Uncomment below to setup prefix (e.g. Bearer) for API key, if needed
# configuration.api_key_prefix['Authorization'] = 'Bearer'

# create an instance of the API class
api_instance = stcloud.TokensApiControllerApi(stcloud.ApiClient(configuration))
app_id = 789 # int | appId
token_id = 789 # int | tokenId

try:
    # Delete app token
    api_response = api_instance.delete_app_token1(app_id, token_id)
    pprint(api_response)
except ApiException as e:
    print("Exception when calling TokensApiControllerApi->delete_app_token1: %s\n" % e)
